"""The removal of namespaces, where no kube-controller-manager runs."""

import threading

from tests.harness.control_plane import ControlPlane


class NamespaceController(threading.Thread):
    """Removes namespaces that are being deleted; what was in them goes with the API server."""

    def __init__(self, cluster: ControlPlane) -> None:
        super().__init__(daemon=True)
        self._cluster, self._stop_event = cluster, threading.Event()

    def run(self) -> None:
        while not self._stop_event.wait(0.2):
            for namespace in self._cluster.request("GET", "/api/v1/namespaces").document["items"]:
                if "deletionTimestamp" in namespace["metadata"]:
                    path = f"/api/v1/namespaces/{namespace['metadata']['name']}"
                    self._cluster.request("DELETE", f"{path}/pods?gracePeriodSeconds=0")
                    namespace["spec"]["finalizers"] = []
                    self._cluster.request("PUT", f"{path}/finalize", namespace)

    def stop(self) -> None:
        self._stop_event.set()
        self.join(10)
