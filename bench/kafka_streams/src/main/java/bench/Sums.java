package bench;

import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** Count, sum, sum and maximum of one window; 32 bytes where it is stored. */
public record Sums(long calls, long handleMs, long waitMs, long longestMs) {
  static final Sums NONE = new Sums(0, 0, 0, 0);

  Sums with(Call call) {
    return new Sums(
        calls + 1,
        handleMs + call.handle_ms,
        waitMs + call.wait_ms,
        Math.max(longestMs, call.wait_ms));
  }

  static Serde<Sums> serde() {
    return Serdes.serdeFrom(
        (topic, sums) -> sums == null ? null : packed(sums),
        (topic, bytes) -> bytes == null ? null : unpacked(bytes));
  }

  private static byte[] packed(Sums sums) {
    return ByteBuffer.allocate(4 * Long.BYTES)
        .putLong(sums.calls)
        .putLong(sums.handleMs)
        .putLong(sums.waitMs)
        .putLong(sums.longestMs)
        .array();
  }

  private static Sums unpacked(byte[] bytes) {
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    return new Sums(buffer.getLong(), buffer.getLong(), buffer.getLong(), buffer.getLong());
  }
}
