package bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.streams.AutoOffsetReset;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyWindowStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowBytesStoreSupplier;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Flat work on Kafka Streams: BROKER TOPIC NAME WARM TOTAL STORE GUARANTEE THREADS FOLDER FILE.
 *
 * <p>Reads the topic to its end, prints its figures as JSON, and leaves all windows in FILE.
 */
public final class Flat {
  private static final Duration RETENTION = Duration.ofDays(1);
  private static final long COMMIT_MS = 1_000;
  private static final long CACHE_BYTES = 256L << 20;

  private Flat() {}

  public static void main(String[] args) throws Exception {
    Progress progress = new Progress(Long.parseLong(args[3]), Long.parseLong(args[4]));
    Topology topology = topology(args[1], args[5].equals("memory"), progress);
    try (KafkaStreams streams = new KafkaStreams(topology, settings(args))) {
      streams.start();
      progress.await();
      try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(args[9])))) {
        dump(streams, Count.AGENTS, "agent", out);
        dump(streams, Count.TEAMS, "team", out);
      }
    }
    System.out.println(progress.figures());
  }

  private static Topology topology(String topic, boolean inMemory, Progress progress) {
    ObjectReader reader = new ObjectMapper().readerFor(Call.class);
    Deserializer<Call> calls =
        (name, bytes) -> {
          try {
            return reader.readValue(bytes);
          } catch (IOException error) {
            throw new UncheckedIOException(error);
          }
        };
    return new Topology()
        .addSource(
            AutoOffsetReset.earliest(),
            "calls",
            (record, partitionTime) -> ((Call) record.value()).time_ms,
            new StringDeserializer(),
            calls,
            topic)
        .addProcessor("count", () -> new Count(progress), "calls")
        .addStateStore(store(Count.AGENTS, inMemory), "count")
        .addStateStore(store(Count.TEAMS, inMemory), "count");
  }

  /** A window store with its changelog, and with the cache that writes a window once a commit. */
  private static StoreBuilder<WindowStore<String, Sums>> store(String name, boolean inMemory) {
    Duration pane = Duration.ofMillis(Count.PANE_MS);
    WindowBytesStoreSupplier kind =
        inMemory
            ? Stores.inMemoryWindowStore(name, RETENTION, pane, false)
            : Stores.persistentWindowStore(name, RETENTION, pane, false);
    return Stores.windowStoreBuilder(kind, Serdes.String(), Sums.serde()).withCachingEnabled();
  }

  private static Properties settings(String[] args) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[2]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[6]);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, args[7]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, args[8]);
    if (args[6].equals(StreamsConfig.AT_LEAST_ONCE)) {
      // As our boards commit. By default it is 30 s: a short run would never write its changelog.
      settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, COMMIT_MS);
    }
    settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, CACHE_BYTES);
    settings.put("max.poll.records", "5000");
    settings.put("max.partition.fetch.bytes", "4194304");
    return settings;
  }

  private static void dump(KafkaStreams streams, String name, String kind, PrintWriter out) {
    ReadOnlyWindowStore<String, Sums> store =
        streams.store(
            StoreQueryParameters.fromNameAndType(name, QueryableStoreTypes.windowStore()));
    try (KeyValueIterator<Windowed<String>, Sums> all = store.all()) {
      while (all.hasNext()) {
        KeyValue<Windowed<String>, Sums> one = all.next();
        Sums sums = one.value;
        out.printf(
            "%s\t%s\t%d\t%d\t%d\t%d\t%d%n",
            kind,
            one.key.key(),
            one.key.window().start(),
            sums.calls(),
            sums.handleMs(),
            sums.waitMs(),
            sums.longestMs());
      }
    }
  }
}
