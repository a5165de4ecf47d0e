package milena.interop;

import io.smallrye.reactive.messaging.kafka.api.OutgoingKafkaRecordMetadata;
import io.smallrye.reactive.messaging.kafka.reply.KafkaRequestReply;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.inject.Inject;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Semaphore;
import org.eclipse.microprofile.reactive.messaging.Channel;
import org.eclipse.microprofile.reactive.messaging.Message;
import org.eclipse.microprofile.reactive.messaging.OnOverflow;

/** Asks, as it is told to on standard input. Replies are expected to be the prefix and the request's text. */
@ApplicationScoped
public class Asking {
    @Inject
    @Channel("asking")
    @OnOverflow(OnOverflow.Strategy.UNBOUNDED_BUFFER)
    KafkaRequestReply<String, String> requestReply;

    void awaitAssignment() {
        requestReply.waitForAssignments().await().atMost(Duration.ofSeconds(60));
    }

    /** One run: {@code requests=} with {@code in-flight=} at a time, {@code keys=} different keys (0: null); {@code text=} instead of numbers. */
    void ask(Map<String, String> order, String prefix) throws InterruptedException {
        var requests = number(order, "requests", 1);
        var inFlight = number(order, "in-flight", 1);
        var keys = number(order, "keys", 0);
        var room = new Semaphore(inFlight);
        var run = new Run();
        var begun = System.nanoTime();
        for (var i = 0; i < requests; i++) {
            room.acquire();
            var value = order.getOrDefault("text", i + ".");
            var sent = System.nanoTime();
            var message = keys == 0
                    ? Message.of(value)
                    : Message.of(value)
                            .addMetadata(OutgoingKafkaRecordMetadata.<String>builder().withKey("key-" + i % keys).build());
            requestReply
                    .request(message)
                    .subscribe()
                    .with(
                            reply -> {
                                run.answered(System.nanoTime() - sent, (prefix + value).equals(reply.getPayload()));
                                room.release();
                            },
                            problem -> {
                                run.failed(problem);
                                room.release();
                            });
        }
        // Every request ends, with a reply or by its timeout.
        room.acquire(inFlight);
        Main.print(run.summary(System.nanoTime() - begun));
    }

    private static int number(Map<String, String> order, String name, int otherwise) {
        return Integer.parseInt(order.getOrDefault(name, String.valueOf(otherwise)));
    }
}
