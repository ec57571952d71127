package com.hazelcast.internal.cluster.impl;

import com.hazelcast.cluster.Address;

/** Stands between a member that looks for a master and the address of its master, in a class path with the patch. */
final class JoinGuard {
    private JoinGuard() {
    }

    /** Sets the address of the master to join, unless the member has joined one meanwhile: then it keeps that one. */
    static void setMasterAddress(ClusterServiceImpl cluster, Address master) {
        if (!cluster.isJoined()) {
            cluster.setMasterAddress(master);
        }
    }
}
