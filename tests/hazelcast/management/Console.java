import com.hazelcast.client.HazelcastClient;
import com.hazelcast.client.config.ClientConfig;
import com.hazelcast.client.impl.clientside.HazelcastClientProxy;
import com.hazelcast.client.impl.protocol.codec.MCRunConsoleCommandCodec;
import com.hazelcast.client.impl.spi.impl.ClientInvocation;
import java.util.concurrent.ExecutionException;

/** Asks a member for what its console says, as Management Center does, and prints whether it may. */
public class Console {
    public static void main(String[] arguments) throws Exception {
        ClientConfig config = new ClientConfig();
        config.getNetworkConfig().addAddress(System.getenv("HAZELCAST_ADDRESS"));
        var client = ((HazelcastClientProxy) HazelcastClient.newHazelcastClient(config)).client;
        var member = client.getConnectionManager().getActiveConnections().iterator().next();
        var command = MCRunConsoleCommandCodec.encodeRequest(null, "m.size");
        try {
            var answer = new ClientInvocation(client, command, null, member).invoke().get();
            System.out.println("said " + MCRunConsoleCommandCodec.decodeResponse(answer));
        } catch (ExecutionException refused) {
            System.out.println("refused " + refused.getCause().getMessage());
        }
        client.shutdown();
    }
}
