import com.hazelcast.config.Config;
import com.hazelcast.config.JoinConfig;

/** What the checks have in common: a member on this machine alone, at any free port, that looks for no one by itself. */
final class CheckedMember {
    static final String ADDRESS = "127.0.0.1";

    private CheckedMember() {
    }

    static Config config() {
        Config config = new Config();
        config.setProperty("hazelcast.phone.home.enabled", "false");
        config.setProperty("hazelcast.socket.bind.any", "false");
        config.setProperty("hazelcast.local.localAddress", ADDRESS);
        config.getNetworkConfig().setPort(0);
        JoinConfig join = config.getNetworkConfig().getJoin();
        join.getAutoDetectionConfig().setEnabled(false);
        join.getMulticastConfig().setEnabled(false);
        return config;
    }
}
