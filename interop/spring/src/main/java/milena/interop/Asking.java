package milena.interop;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;

/** What a requester does with its orders. */
final class Asking implements Program {
    private final ReplyingKafkaTemplate<String, Object, Object> template;
    private final Payload<Object, Object> payload;
    private final String prefix;

    Asking(ReplyingKafkaTemplate<String, Object, Object> template, Payload<Object, Object> payload, String prefix) {
        this.template = template;
        this.payload = payload;
        this.prefix = prefix;
    }

    @Override
    public void begin() throws InterruptedException {
        if (!template.waitForAssignment(Duration.ofSeconds(60))) {
            throw new IllegalStateException("no partition of the reply topic was assigned within 60 s");
        }
    }

    /**
     * One run: {@code topic=…}, and {@code requests=} or {@code milliseconds=} (or both: what comes first ends it).
     * Closed loop with {@code in-flight=} requests; with {@code rate=} a second an open loop at random (Poisson) times
     * whose latency counts from the intended time. {@code bytes=} of the value, {@code keys=} different keys (0: null).
     */
    @Override
    public void take(Map<String, String> order) throws InterruptedException {
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
            var value = payload.request(i, text + "x".repeat(Math.max(0, bytes - text.length())));
            var sent = intended;
            open.incrementAndGet();
            template.sendAndReceive(new ProducerRecord<>(topic, keys > 0 ? "key-" + i % keys : null, value))
                    .whenComplete((reply, problem) -> {
                        if (problem != null) run.failed(problem);
                        else run.answered(System.nanoTime() - sent, payload.reply(value, prefix).equals(reply.value()));
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
}
