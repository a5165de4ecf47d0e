package milena.interop;

import java.util.Collection;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.common.TopicPartition;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.core.ProducerFactory;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.kafka.support.KafkaHeaders;
import org.springframework.messaging.handler.annotation.Header;
import org.springframework.messaging.handler.annotation.Payload;
import org.springframework.util.backoff.FixedBackOff;

/**
 * Fails with every request of {@code --topics}, twice, and leaves it to Spring's own dead letters; prints what an
 * application sees of the letters in {@code --letters}.
 */
@Configuration
public class DeadLetters {
    @Bean
    ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory(
            ConsumerFactory<String, String> consumers, ProducerFactory<String, String> producers) {
        var factory = new ConcurrentKafkaListenerContainerFactory<String, String>();
        factory.setConsumerFactory(consumers);
        var recoverer = new DeadLetterPublishingRecoverer(new KafkaTemplate<>(producers));
        factory.setCommonErrorHandler(new DefaultErrorHandler(recoverer, new FixedBackOff(0, 1)));
        factory.getContainerProperties().setConsumerRebalanceListener(new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                if (!partitions.isEmpty()) Main.print("{\"event\":\"ready\"}");
            }

            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}
        });
        return factory;
    }

    @Bean
    Failing failing() {
        return new Failing();
    }

    @Bean
    Reading reading() {
        return new Reading();
    }

    public static class Failing {
        @KafkaListener(topics = "${topics}", groupId = "${group}")
        public void fail(String request) {
            throw new IllegalStateException("no such account: " + request);
        }
    }

    /** By Spring's own names and conversions of the headers. */
    public static class Reading {
        @KafkaListener(topics = "${letters}", groupId = "${group}-letters")
        public void read(
                @Payload String value,
                @Header(KafkaHeaders.RECEIVED_KEY) String key,
                @Header(KafkaHeaders.RECEIVED_PARTITION) int partition,
                @Header(KafkaHeaders.DLT_ORIGINAL_TOPIC) String originalTopic,
                @Header(KafkaHeaders.DLT_ORIGINAL_PARTITION) int originalPartition,
                @Header(KafkaHeaders.DLT_ORIGINAL_OFFSET) long originalOffset,
                @Header(KafkaHeaders.DLT_ORIGINAL_TIMESTAMP) long originalTimestamp,
                @Header(KafkaHeaders.DLT_ORIGINAL_TIMESTAMP_TYPE) String timestampType,
                @Header(KafkaHeaders.DLT_ORIGINAL_CONSUMER_GROUP) String group,
                @Header(KafkaHeaders.DLT_EXCEPTION_FQCN) String exception,
                @Header(KafkaHeaders.DLT_EXCEPTION_CAUSE_FQCN) String cause,
                @Header(KafkaHeaders.DLT_EXCEPTION_MESSAGE) String message,
                @Header(KafkaHeaders.DLT_EXCEPTION_STACKTRACE) String stack) {
            Main.print(("{'event':'letter','value':'%s','key':'%s','partition':%d,'originalTopic':'%s',"
                            + "'originalPartition':%d,'originalOffset':%d,'originalTimestamp':%d,'timestampType':'%s',"
                            + "'group':'%s','exception':'%s','cause':'%s','message':'%s','stackLines':%d}")
                    .replace('\'', '"')
                    .formatted(
                            value,
                            key,
                            partition,
                            originalTopic,
                            originalPartition,
                            originalOffset,
                            originalTimestamp,
                            timestampType,
                            group,
                            exception,
                            cause,
                            message,
                            stack.lines().count()));
        }
    }
}
