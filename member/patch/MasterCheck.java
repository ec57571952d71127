import com.hazelcast.config.Config;
import com.hazelcast.core.Hazelcast;
import com.hazelcast.core.HazelcastInstance;
import com.hazelcast.instance.impl.HazelcastInstanceProxy;
import com.hazelcast.internal.cluster.impl.ClusterServiceImpl;

/**
 * Starts a member and tells it what a discovery that failed tells it: that there is no master to join. A member that
 * has joined keeps the master that it has. Exits with 0 where it does and with 3 where it forgets it.
 */
public final class MasterCheck {
    private static final int KEEPS = 0;
    private static final int FORGETS = 3;

    private MasterCheck() {
    }

    public static void main(String[] args) {
        HazelcastInstance member = Hazelcast.newHazelcastInstance(alone());
        ClusterServiceImpl cluster = ((HazelcastInstanceProxy) member).getOriginal().node.getClusterService();
        if (!cluster.isJoined() || cluster.getMasterAddress() == null) {
            throw new IllegalStateException("the member has started and has not joined: it cannot be asked");
        }
        cluster.setMasterAddressToJoin(null);
        boolean kept = cluster.getMasterAddress() != null;
        System.out.println(kept ? "A joined member keeps its master." : "A joined member forgets its master.");
        System.out.flush();
        // At once: a member without a master would wait long for somebody to hand over to.
        Runtime.getRuntime().halt(kept ? KEEPS : FORGETS);
    }

    private static Config alone() {
        Config config = CheckedMember.config();
        config.setProperty("hazelcast.wait.seconds.before.join", "0");
        return config;
    }
}
