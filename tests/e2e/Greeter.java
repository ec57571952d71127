import com.hazelcast.map.MapLoader;
import java.util.Collection;
import java.util.Map;
import java.util.stream.Collectors;

/** A map in which each key is greeted. */
public final class Greeter implements MapLoader<String, String> {
    @Override
    public String load(String key) {
        return "Hello " + key;
    }

    @Override
    public Map<String, String> loadAll(Collection<String> keys) {
        return keys.stream().collect(Collectors.toMap(key -> key, this::load));
    }

    @Override
    public Iterable<String> loadAllKeys() {
        return null;
    }
}
