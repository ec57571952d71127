import com.hazelcast.client.HazelcastClient;
import com.hazelcast.client.config.ClientConfig;
import java.util.Map;

/** Puts an entry or gets one: java -cp hazelcast.jar PutGet.java put KEY VALUE, or the same with get KEY. */
public class PutGet {
    public static void main(String[] arguments) {
        ClientConfig config = new ClientConfig();
        config.setClusterName(System.getenv().getOrDefault("HAZELCAST_CLUSTER_NAME", "dev"));
        config.getNetworkConfig().addAddress(System.getenv().getOrDefault("HAZELCAST_ADDRESS", "127.0.0.1:5701"));
        var client = HazelcastClient.newHazelcastClient(config);
        try {
            Map<String, String> entries = client.getMap("map");
            if (arguments[0].equals("put")) {
                entries.put(arguments[1], arguments[2]);
            } else {
                System.out.println(entries.getOrDefault(arguments[1], ""));
            }
        } finally {
            client.shutdown();
        }
    }
}
