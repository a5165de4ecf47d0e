package milena.interop;

import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.ProducerFactory;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;
import org.springframework.kafka.support.TopicPartitionOffset;

/** Asks, as it is told to on standard input. Replies are expected to be {@code --prefix} and the request's text. */
@Configuration
public class Requester {
    @Autowired private ReplyingKafkaTemplate<String, String, String> template;

    @Value("${prefix:}") private String prefix;

    /**
     * The two ways of Spring's documentation to have several instances on one reply topic: each with a group of its
     * own, and each with a partition of its own.
     */
    @Bean
    static ReplyingKafkaTemplate<String, String, String> template(
            ProducerFactory<String, String> producers,
            ConsumerFactory<String, String> consumers,
            @Value("${reply-topic}") String topic,
            @Value("${reply-partition:-1}") int partition,
            @Value("${group}") String group,
            @Value("${timeout:30000}") long timeout) {
        var replies = partition < 0
                ? new ContainerProperties(topic)
                : new ContainerProperties(new TopicPartitionOffset(topic, partition));
        replies.setGroupId(group);
        var container = new KafkaMessageListenerContainer<>(consumers, replies);
        var template = new ReplyingKafkaTemplate<>(producers, container);
        template.setSharedReplyTopic(true); // others' replies are logged as DEBUG and not as ERROR, and that is all
        template.setDefaultReplyTimeout(Duration.ofMillis(timeout));
        return template;
    }

    void awaitAssignment() throws InterruptedException {
        if (!template.waitForAssignment(Duration.ofSeconds(60))) {
            throw new IllegalStateException("no partition of the reply topic was assigned within 60 s");
        }
        Main.print("{\"event\":\"ready\"}");
    }

    /**
     * One run: {@code topic=…}, and {@code requests=} or {@code milliseconds=} (or both: what comes first ends it).
     * Closed loop with {@code in-flight=} requests; with {@code rate=} a second an open loop at random (Poisson) times
     * whose latency counts from the intended time. {@code bytes=} of the value, {@code keys=} different keys (0: null).
     */
    void ask(Map<String, String> order) throws InterruptedException {
        var topic = order.get("topic");
        var requests = number(order, "requests", Integer.MAX_VALUE);
        var until = System.nanoTime() + number(order, "milliseconds", 3_600_000) * 1_000_000L;
        var rate = number(order, "rate", 0);
        var inFlight = rate > 0 ? Integer.MAX_VALUE : number(order, "in-flight", 1);
        var bytes = number(order, "bytes", 0);
        var keys = number(order, "keys", 0);

        var room = new Semaphore(inFlight);
        var open = new AtomicInteger();
        var run = new Run();
        var begun = System.nanoTime();
        var intended = begun;
        for (var i = 0; i < requests && System.nanoTime() < until; i++) {
            if (rate > 0) {
                intended += (long) (-Math.log(1 - ThreadLocalRandom.current().nextDouble()) * 1e9 / rate);
                while (System.nanoTime() < intended) LockSupport.parkNanos(intended - System.nanoTime());
            } else {
                room.acquire();
                intended = System.nanoTime();
            }
            var text = i + ".";
            var value = text + "x".repeat(Math.max(0, bytes - text.length()));
            var sent = intended;
            open.incrementAndGet();
            template.sendAndReceive(new ProducerRecord<>(topic, keys > 0 ? "key-" + i % keys : null, value))
                    .whenComplete((reply, problem) -> {
                        if (problem != null) run.failed(problem);
                        else run.answered(System.nanoTime() - sent, reply.value().equals(prefix + value));
                        if (rate == 0) room.release();
                        open.decrementAndGet();
                    });
        }
        // Every future ends, with a reply or by its timeout.
        while (open.get() > 0) LockSupport.parkNanos(200_000);
        Main.print(run.summary(System.nanoTime() - begun));
    }

    private static int number(Map<String, String> order, String name, int otherwise) {
        return Integer.parseInt(order.getOrDefault(name, String.valueOf(otherwise)));
    }

    /** What became of the requests of one run. */
    private static final class Run {
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
}
