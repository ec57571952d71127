import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Starts a member when the DNS lists its own address under the name of its group. The headless Service lists Pods that
 * are not ready, too: an answer without the own address is none yet, or no true one, and says nothing about others.
 * A member that took it for "no one is there" would form a cluster beside theirs.
 */
public final class AnnouncedStart {
    private static final String NAME = System.getenv("HAZELCAST_KUBERNETES_SERVICE_DNS");
    private static final String ADDRESS = System.getProperty("hazelcast.local.localAddress");
    private static final long PAUSE_MILLIS = 250;
    private static final long QUIET_MILLIS = 2_000;
    private static final long REMINDER_MILLIS = 15_000;

    private AnnouncedStart() {
    }

    /** Takes the class to start and its arguments. */
    public static void main(String[] args) throws Throwable {
        if (NAME != null && !NAME.isBlank()) {
            awaitAnnouncement();
        }
        Class<?> member = Class.forName(args[0]);
        member.getMethod("main", String[].class).invoke(null, (Object) Arrays.copyOfRange(args, 1, args.length));
    }

    private static void awaitAnnouncement() throws SocketException, InterruptedException {
        long begun = System.nanoTime();
        long nextWord = QUIET_MILLIS;
        while (!isAnnounced()) {
            long waited = (System.nanoTime() - begun) / 1_000_000;
            if (waited >= nextWord) {
                System.out.println("Waiting for the DNS to list this member under " + NAME + ", for " + waited / 1000
                    + " s now: without that it would not find the others of its group. Its Service lists Pods that"
                    + " are not ready (publishNotReadyAddresses).");
                nextWord = waited + REMINDER_MILLIS;
            }
            Thread.sleep(PAUSE_MILLIS);
        }
    }

    private static boolean isAnnounced() throws SocketException {
        try {
            Set<InetAddress> own = own();
            return Arrays.stream(InetAddress.getAllByName(NAME)).anyMatch(own::contains);
        } catch (UnknownHostException unknown) {
            return false;
        }
    }

    private static Set<InetAddress> own() throws SocketException, UnknownHostException {
        return ADDRESS != null
            ? Set.of(InetAddress.getByName(ADDRESS))
            : NetworkInterface.networkInterfaces().flatMap(NetworkInterface::inetAddresses).collect(Collectors.toSet());
    }
}
