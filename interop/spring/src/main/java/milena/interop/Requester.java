package milena.interop;

import java.time.Duration;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;
import org.springframework.kafka.support.TopicPartitionOffset;

/**
 * Asks, as it is told to on standard input. Replies are expected to be {@code --prefix} and the request's text. Correlation
 * ids are bytes, or text with {@code --correlation=text}; Milena's error replies fail with {@code --errors=checked}, and
 * are answers without a value otherwise, as to any Spring application that does not know of them.
 */
@Configuration
public class Requester {
    /**
     * The two ways of Spring's documentation to have several instances on one reply topic: each with a group of its
     * own, and each with a partition of its own.
     */
    @Bean
    ReplyingKafkaTemplate<String, Object, Object> template(
            DefaultKafkaProducerFactory<String, Object> producers,
            DefaultKafkaConsumerFactory<String, Object> consumers,
            Payload<Object, Object> payload,
            @Value("${reply-topic}") String topic,
            @Value("${reply-partition:-1}") int partition,
            @Value("${group}") String group,
            @Value("${correlation:binary}") String correlation,
            @Value("${errors:}") String errors,
            @Value("${timeout:30000}") long timeout) {
        producers.setValueSerializer(payload.requestSerializer());
        consumers.setValueDeserializer(payload.replyDeserializer());
        var replies = partition < 0
                ? new ContainerProperties(topic)
                : new ContainerProperties(new TopicPartitionOffset(topic, partition));
        replies.setGroupId(group);
        var container = new KafkaMessageListenerContainer<>(consumers, replies);
        var template = new ReplyingKafkaTemplate<>(producers, container);
        template.setSharedReplyTopic(true); // others' replies are logged as DEBUG and not as ERROR, and that is all
        template.setDefaultReplyTimeout(Duration.ofMillis(timeout));
        template.setBinaryCorrelation(!correlation.equals("text"));
        if (errors.equals("checked")) template.setReplyErrorChecker(ReplyErrors::check);
        return template;
    }

    @Bean
    Payload<Object, Object> payload(@Value("${format:text}") String format) {
        return Payload.of(format);
    }

    @Bean
    Program asking(
            ReplyingKafkaTemplate<String, Object, Object> template,
            Payload<Object, Object> payload,
            @Value("${prefix:}") String prefix) {
        return new Asking(template, payload, prefix);
    }
}
