"""The controller: everything beside the Pod appears by itself."""
