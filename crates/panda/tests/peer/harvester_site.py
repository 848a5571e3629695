"""What a site would bring to a Harvester: the end of a worker of the dummy back end, which by itself never ends one."""

import os

from pandaharvester.harvestersweeper.dummy_sweeper import DummySweeper


class Sweeper(DummySweeper):
    def kill_workers(self, workspec_list):
        for workspec in workspec_list:
            with open(os.path.join(workspec.get_access_point(), "status.txt"), "w") as status:
                status.write("cancelled")
        return [(True, "")] * len(workspec_list)
