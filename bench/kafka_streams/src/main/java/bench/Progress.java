package bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

/** Counts the calls of all threads, and takes time and CPU after the warm ones and at the end. */
final class Progress {
  private static final OperatingSystemMXBean PROCESS =
      ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);

  private final AtomicLong counted = new AtomicLong();
  private final CountDownLatch done = new CountDownLatch(1);
  private final long warm;
  private final long total;
  private volatile long[] begin;
  private volatile long[] end;

  Progress(long warm, long total) {
    this.warm = warm;
    this.total = total;
  }

  void counted() {
    long now = counted.incrementAndGet();
    if (now == warm) {
      begin = mark();
    } else if (now == total) {
      end = mark();
      done.countDown();
    }
  }

  private static long[] mark() {
    return new long[] {System.nanoTime(), PROCESS.getProcessCpuTime()};
  }

  void await() throws InterruptedException {
    done.await();
  }

  /** The figures as the bench reads them. */
  String figures() {
    double timed = total - warm;
    double seconds = (end[0] - begin[0]) / 1e9;
    double cpu = (end[1] - begin[1]) / 1e3 / timed;
    return String.format(
        Locale.ROOT,
        "{\"events_per_second\": %.3f, \"cpu_us_per_event\": %.4f}",
        timed / seconds,
        cpu);
  }
}
