package bench;

/** One completed call, as it lies on the topic. */
public final class Call {
  public String id;
  public String agent;
  public String team;
  public String queue;
  public long handle_ms;
  public long wait_ms;
  public long time_ms;
}
