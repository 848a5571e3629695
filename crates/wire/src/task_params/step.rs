//! What surrounds the payload: build, merge, preprocessing, multi-step jobs,
//! hyper-parameter optimisation.

use crate::record::record;
use serde_json::Value;

record! {
    /// The build step.
    BuildSpec {
        /// Label of the build job, `panda`.
        prod_source_label: String = "prodSourceLabel",
        /// Name of the uploaded sources.
        archive_name: String = "archiveName",
        /// Command line with `${IN}`, `${OUT}`, `${SURL}`.
        job_parameters: String = "jobParameters",
        /// Program to run; the server's build runner when absent.
        trans_path: String = "transPath",
        /// Dataset of the sources, when they travel as a dataset.
        tar_ball_via_ddm: String = "tarBallViaDDM",
    }
}

record! {
    /// The merge step.
    MergeSpec {
        /// Command line that ends with `${TRN_OUTPUT:OUTPUT} ${TRN_LOG:LOG}`.
        job_parameters: String = "jobParameters",
        /// Program to run; the server's merge runner when absent.
        trans_path: String = "transPath",
        /// Package home.
        trans_home: String = "transHome",
        /// Release.
        trans_uses: String = "transUses",
        /// Copy inputs to scratch.
        use_local_io: i64 = "useLocalIO",
    }
}

record! {
    /// The preprocessing step.
    PreproSpec {
        /// Label of the job, `panda`.
        prod_source_label: String = "prodSourceLabel",
        /// Command line.
        job_parameters: String = "jobParameters",
        /// Program to run.
        trans_path: String = "transPath",
    }
}

record! {
    /// One step of a multi-step job.
    Step {
        /// Program, may be `${TRF}`.
        command: String = "command",
        /// Its arguments.
        args: String = "args",
    }
}

record! {
    /// How a container is run.
    ContainerOptions {
        /// Command inside.
        container_exec: String = "containerExec",
        /// Image.
        container_image: String = "containerImage",
        /// Arguments of the container program.
        exec_args: String = "execArgs",
    }
}

record! {
    /// Steps around the payload.
    MultiStepExec {
        /// Before.
        preprocess: Step = "preprocess",
        /// After.
        postprocess: Step = "postprocess",
        /// Beside.
        coprocess: Step = "coprocess",
        /// Container of the payload.
        container_options: ContainerOptions = "containerOptions",
    }
}

record! {
    /// What a hyper-parameter optimisation asks for.
    HpoRequest {
        /// Uploaded archive of the steering program.
        sandbox: String = "sandbox",
        /// Steering program.
        executable: String = "executable",
        /// Its arguments.
        arguments: String = "arguments",
        /// File it writes.
        output_json: String = "output_json",
        /// Most points.
        max_points: i64 = "max_points",
        /// Points at a time.
        num_points_per_generation: i64 = "num_points_per_generation",
        /// Space of the parameters.
        opt_space: Value = "opt_space",
        /// Points to start from.
        initial_points: Value = "initial_points",
        /// Method name.
        method: String = "method",
    }
}
