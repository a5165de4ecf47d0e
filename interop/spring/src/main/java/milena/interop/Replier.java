package milena.interop;

import java.util.Collection;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.common.TopicPartition;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.core.ProducerFactory;
import org.springframework.messaging.handler.annotation.SendTo;

/** Answers every request with {@code --prefix} and its own text. */
@Configuration
public class Replier {
    @Bean
    ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory(
            ConsumerFactory<String, String> consumers,
            ProducerFactory<String, String> producers,
            @Value("${concurrency:1}") int concurrency) {
        var factory = new ConcurrentKafkaListenerContainerFactory<String, String>();
        factory.setConsumerFactory(consumers);
        factory.setReplyTemplate(new KafkaTemplate<>(producers));
        factory.setConcurrency(concurrency);
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
    Answering answering(@Value("${prefix:}") String prefix) {
        return new Answering(prefix);
    }

    /** What an application writes. */
    public static class Answering {
        private final String prefix;

        Answering(String prefix) {
            this.prefix = prefix;
        }

        @KafkaListener(topics = "#{'${topics}'.split(',')}", groupId = "${group}")
        @SendTo
        public String answer(String request) {
            return prefix + request;
        }
    }
}
