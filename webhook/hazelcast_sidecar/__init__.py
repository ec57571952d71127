"""A mutating admission webhook that injects Hazelcast members into annotated Pods."""
