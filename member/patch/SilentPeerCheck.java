import com.hazelcast.config.Config;
import com.hazelcast.core.Hazelcast;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;

/**
 * Starts a member whose only peer takes its connection and says nothing, as one does that has its port already and has
 * not finished to start. Exits with 0 where the member waits for it, and with 3 where the thread that writes to the
 * network looks again and again: then it needs a processor, and does not get to what other peers are to be sent.
 */
public final class SilentPeerCheck {
    private static final int WAITS = 0;
    private static final int SPINS = 3;

    // A thread that waits needs some milliseconds of processor time; one that spins, all that it gets.
    private static final long MUCH_NANOS = TimeUnit.MILLISECONDS.toNanos(100);
    private static final long LOOK_SECONDS = 10;
    private static final int ASK_SECONDS = 60;
    private static final int START_MILLIS = 120_000;

    private SilentPeerCheck() {
    }

    public static void main(String[] args) throws IOException, InterruptedException {
        try (ServerSocket peer = new ServerSocket(0, 1, InetAddress.getByName(CheckedMember.ADDRESS))) {
            // One that does not start does not connect, and cannot be asked.
            peer.setSoTimeout(START_MILLIS);
            Thread member = new Thread(() -> Hazelcast.newHazelcastInstance(asking(peer.getLocalPort())));
            member.setDaemon(true);
            member.start();
            boolean spins;
            try (Socket silent = peer.accept()) {
                spins = spins();
            }
            System.out.println(spins ? "A member spins while a peer says nothing." : "A member waits for a peer that says nothing.");
            System.out.flush();
            // At once: the member is still asking.
            Runtime.getRuntime().halt(spins ? SPINS : WAITS);
        }
    }

    private static boolean spins() throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(LOOK_SECONDS);
        while (System.nanoTime() < end) {
            Thread.sleep(100);
            if (writing().anyMatch(nanos -> nanos > MUCH_NANOS)) {
                return true;
            }
        }
        return false;
    }

    /** Processor time of each thread that writes to the network, in nanoseconds. */
    private static LongStream writing() {
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        return LongStream.of(threads.getAllThreadIds()).filter(id -> {
            var thread = threads.getThreadInfo(id);
            return thread != null && thread.getThreadName().contains(".IO.thread-out");
        }).map(threads::getThreadCpuTime);
    }

    private static Config asking(int port) {
        Config config = CheckedMember.config();
        config.getNetworkConfig().getJoin().getTcpIpConfig().setEnabled(true).setConnectionTimeoutSeconds(ASK_SECONDS)
            .addMember(CheckedMember.ADDRESS + ":" + port);
        return config;
    }
}
