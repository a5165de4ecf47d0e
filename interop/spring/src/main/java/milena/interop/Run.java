package milena.interop;

import java.util.Arrays;

/** What became of the requests of one run. */
final class Run {
    private long[] latencies = new long[1024];
    private int answered;
    private int wrong;
    private int failed;
    private String problem = "";

    synchronized void answered(long nanoseconds, boolean right) {
        if (answered == latencies.length) latencies = Arrays.copyOf(latencies, 2 * answered);
        latencies[answered++] = nanoseconds;
        if (!right) wrong++;
    }

    synchronized void failed(Throwable cause) {
        failed++;
        problem = cause.toString();
    }

    synchronized String summary(long nanoseconds) {
        Arrays.sort(latencies, 0, answered);
        return ("{\"event\":\"asked\",\"answered\":%d,\"wrong\":%d,\"failed\":%d,\"problem\":\"%s\",\"milliseconds\":%d,"
                        + "\"latency\":{\"p50\":%d,\"p90\":%d,\"p99\":%d,\"p999\":%d,\"max\":%d}}")
                .formatted(
                        answered,
                        wrong,
                        failed,
                        problem.replaceAll("[\"\\\\\\p{Cntrl}]", " "),
                        nanoseconds / 1_000_000,
                        quantile(0.5),
                        quantile(0.9),
                        quantile(0.99),
                        quantile(0.999),
                        quantile(1));
    }

    /** In microseconds. */
    private long quantile(double share) {
        return answered == 0 ? 0 : latencies[Math.max(0, (int) Math.ceil(share * answered) - 1)] / 1_000;
    }
}
