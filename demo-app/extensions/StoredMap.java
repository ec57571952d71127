import com.hazelcast.core.HazelcastInstance;
import com.hazelcast.map.MapLoaderLifecycleSupport;
import com.hazelcast.map.MapStore;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

/**
 * Keeps maps' entries in a table of PostgreSQL, so that they outlive all members; an entry is read when it is
 * first asked for. The property `url` says where: jdbc:postgresql://HOST/DATABASE?user=USER.
 *
 * <p>It connects for each operation; a pool of connections makes it faster.
 */
public final class StoredMap implements MapStore<String, String>, MapLoaderLifecycleSupport {
    private String url;
    private String map;

    @Override
    public void init(HazelcastInstance member, Properties properties, String map) {
        url = properties.getProperty("url");
        this.map = map;
        // The lock, as PostgreSQL may fail where two members create one table at the same time.
        run("""
                SELECT pg_advisory_xact_lock(5701);
                CREATE TABLE IF NOT EXISTS entries (map text, key text, value text NOT NULL, PRIMARY KEY (map, key))""");
    }

    @Override
    public void destroy() {}

    @Override
    public void storeAll(Map<String, String> entries) {
        entries.forEach(this::store);
    }

    @Override
    public void store(String key, String value) {
        run("INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT (map, key) DO UPDATE SET value = excluded.value",
                map, key, value);
    }

    @Override
    public void deleteAll(Collection<String> keys) {
        keys.forEach(this::delete);
    }

    @Override
    public void delete(String key) {
        run("DELETE FROM entries WHERE map = ? AND key = ?", map, key);
    }

    @Override
    public Map<String, String> loadAll(Collection<String> keys) {
        var found = new HashMap<String, String>();
        for (String key : keys) {
            String value = load(key);
            if (value != null) {
                found.put(key, value);
            }
        }
        return found;
    }

    @Override
    public String load(String key) {
        try (var connection = connect();
                var statement = connection.prepareStatement("SELECT value FROM entries WHERE map = ? AND key = ?")) {
            statement.setString(1, map);
            statement.setString(2, key);
            var rows = statement.executeQuery();
            return rows.next() ? rows.getString(1) : null;
        } catch (SQLException problem) {
            throw new IllegalStateException(problem);
        }
    }

    /** None: nothing is read before it is asked for. */
    @Override
    public Iterable<String> loadAllKeys() {
        return null;
    }

    private void run(String sql, String... values) {
        try (var connection = connect(); var statement = connection.prepareStatement(sql)) {
            for (int index = 0; index < values.length; index++) {
                statement.setString(index + 1, values[index]);
            }
            statement.execute();
        } catch (SQLException problem) {
            throw new IllegalStateException(problem);
        }
    }

    private Connection connect() throws SQLException {
        return DriverManager.getConnection(url);
    }
}
