//! Options of `panda cert`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `panda cert ...`
#[derive(Debug, Subcommand)]
pub enum CertVerb {
    /// Make a CA of your own and a certificate of it for this host; prints the settings of server and clients
    Init(CertInitArgs),
    /// Look at the certificates of the configuration, or at those of a server, as its clients, pilots and browsers do
    Check(CertCheckArgs),
}

/// `panda cert init`
#[derive(Debug, Args)]
pub struct CertInitArgs {
    /// Name or address by which the server is reached; several times [default: this machine's name, localhost, 127.0.0.1 and ::1]
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
    /// Where the files go [default: `tls` below the data folder]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// How long the host's certificate is good for
    #[arg(long, default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub days: u32,
    /// Replace the host's certificate and key; a CA that is there is kept
    #[arg(long)]
    pub force: bool,
    /// Replace the CA, too: everybody who trusts the old one must be given the new one
    #[arg(long, requires = "force")]
    pub new_ca: bool,
}

/// Who looks at a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Viewer {
    /// panda-client, curl and what else reads `X509_CERT_DIR`.
    Client,
    /// The pilot.
    Pilot,
    /// A browser.
    Browser,
}

/// `panda cert check`
#[derive(Debug, Args)]
pub struct CertCheckArgs {
    /// A server to look at; without one, the files of the configuration
    #[arg(value_name = "HOST:PORT")]
    pub endpoint: Option<String>,
    /// The name that callers use [default: HOST, or that of `server.public_url`]
    #[arg(long, value_name = "HOST")]
    pub name: Option<String>,
    /// Directory of CAs of clients and pilots [default: $X509_CERT_DIR, else /etc/grid-security/certificates]
    #[arg(long, value_name = "DIR")]
    pub ca_dir: Option<PathBuf>,
    /// Certificate or proxy with its key, to be looked at and shown to the server [default: $X509_USER_PROXY, else /tmp/x509up_uUID if it is there]
    #[arg(long, value_name = "FILE")]
    pub proxy: Option<PathBuf>,
    /// Only as these see it
    #[arg(long = "as", value_delimiter = ',', value_name = "WHO", default_values = ["client", "pilot", "browser"])]
    pub viewers: Vec<Viewer>,
}
