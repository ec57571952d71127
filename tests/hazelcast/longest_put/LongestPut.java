import com.hazelcast.client.HazelcastClient;
import com.hazelcast.client.config.ClientConfig;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.Map;

/** Puts until standard input ends, many at once, and prints how many milliseconds the longest took. */
public class LongestPut {
    private static final int AT_ONCE = 60;
    private static volatile boolean done;

    public static void main(String[] arguments) throws Exception {
        ClientConfig config = new ClientConfig();
        config.getNetworkConfig().addAddress(System.getenv("HAZELCAST_ADDRESS"));
        if (arguments.length > 0) {
            config.setBackupAckToClientEnabled(false);
            config.getNetworkConfig().setRedoOperation(true);
            config.setProperty("hazelcast.client.heartbeat.timeout", "4000");
            config.setProperty("hazelcast.client.invocation.timeout.seconds", "4");
        }
        Map<String, String> entries = HazelcastClient.newHazelcastClient(config).getMap("longest-put");
        AtomicLong longest = new AtomicLong();
        var threads = Executors.newFixedThreadPool(AT_ONCE);
        for (int first = 0; first < AT_ONCE; first++) {
            long begin = first;
            threads.execute(() -> {
                for (long number = begin; !done; number += AT_ONCE) {
                    long began = System.nanoTime();
                    try {
                        entries.put(Long.toString(number), "v");
                    } catch (RuntimeException unanswered) {
                        // Its time counts all the same.
                    }
                    longest.accumulateAndGet((System.nanoTime() - began) / 1_000_000, Math::max);
                }
            });
        }
        System.out.println("putting");
        while (System.in.read() >= 0) {
        }
        done = true;
        threads.shutdown();
        threads.awaitTermination(60, java.util.concurrent.TimeUnit.SECONDS);
        System.out.println("longest " + longest);
        System.exit(0);
    }
}
