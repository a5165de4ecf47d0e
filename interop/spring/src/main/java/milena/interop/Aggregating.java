package milena.interop;

import java.time.Duration;
import java.util.Collection;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.ProducerFactory;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.requestreply.AggregatingReplyingKafkaTemplate;

/**
 * Asks once on each of {@code --topics}, and tells what came as an event {@code aggregated}: {@code --count} replies release
 * a request, and its timeout does with what there is by then.
 */
@Configuration
public class Aggregating {
    @Value("${topics}") private String topics;

    @Bean
    static AggregatingReplyingKafkaTemplate<String, String, String> aggregatingTemplate(
            ProducerFactory<String, String> producers,
            ConsumerFactory<String, String> consumers,
            @Value("${reply-topic}") String topic,
            @Value("${group}") String group,
            @Value("${count}") int count,
            @Value("${timeout}") long timeout) {
        var replies = new ContainerProperties(topic);
        replies.setGroupId(group);
        replies.setAckMode(ContainerProperties.AckMode.MANUAL); // the template itself commits
        // Collections are what the template makes of the records: the container's type has them, its consumer does not.
        @SuppressWarnings("unchecked")
        var factory = (ConsumerFactory<String, Collection<ConsumerRecord<String, String>>>)
                (ConsumerFactory<String, ?>) consumers;
        var container = new KafkaMessageListenerContainer<>(factory, replies);
        var template = new AggregatingReplyingKafkaTemplate<String, String, String>(
                producers, container, (records, timedOut) -> timedOut || records.size() == count);
        template.setReturnPartialOnTimeout(true);
        template.setSharedReplyTopic(true);
        template.setDefaultReplyTimeout(Duration.ofMillis(timeout));
        return template;
    }

    @Bean
    Program asking(AggregatingReplyingKafkaTemplate<String, String, String> template) {
        return new Program() {
            @Override
            public void begin() throws InterruptedException {
                if (!template.waitForAssignment(Duration.ofSeconds(60)))
                    throw new IllegalStateException("no partition of the reply topic");
                var asking = new Thread(() -> ask(template), "asking");
                asking.setDaemon(true);
                asking.start();
            }

            @Override
            public void take(Map<String, String> order) {}
        };
    }

    private void ask(AggregatingReplyingKafkaTemplate<String, String, String> template) {
        for (var topic : topics.split(",")) {
            try {
                var aggregate = template.sendAndReceive(new ProducerRecord<>(topic, "key", "tea")).get();
                var values = aggregate.value().stream()
                        .map(ConsumerRecord::value)
                        .map(value -> value == null ? "null" : "\"" + value + "\"")
                        .collect(Collectors.joining(","));
                tell(topic, aggregate.topic(), values);
            } catch (Exception e) {
                tell(topic, e.getCause().getClass().getSimpleName(), "");
            }
        }
    }

    /** @param how the aggregate's pseudo topic, or the class of what went wrong */
    private static void tell(String topic, String how, String values) {
        Main.print("{\"event\":\"aggregated\",\"asked\":\"" + topic + "\",\"how\":\"" + how + "\",\"values\":[" + values + "]}");
    }
}
