package bench;

import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Adds each call to its agent's and its team's window.
 *
 * <p>The two stores are read and written as the DSL's windowed aggregate does. The DSL itself would
 * send every call through a repartition topic before it could be counted by team; here the
 * partitions are those of the teams already, and nothing is sent twice.
 */
final class Count implements Processor<String, Call, Void, Void> {
  static final String AGENTS = "agents";
  static final String TEAMS = "teams";
  static final long PANE_MS = 10_000;

  private final Progress progress;
  private WindowStore<String, Sums> agents;
  private WindowStore<String, Sums> teams;

  Count(Progress progress) {
    this.progress = progress;
  }

  @Override
  public void init(ProcessorContext<Void, Void> context) {
    agents = context.getStateStore(AGENTS);
    teams = context.getStateStore(TEAMS);
  }

  @Override
  public void process(Record<String, Call> record) {
    Call call = record.value();
    long start = call.time_ms - call.time_ms % PANE_MS;
    add(agents, call.agent, start, call);
    add(teams, call.team, start, call);
    progress.counted();
  }

  private static void add(WindowStore<String, Sums> store, String key, long start, Call call) {
    Sums known = store.fetch(key, start);
    store.put(key, (known == null ? Sums.NONE : known).with(call), start);
  }
}
