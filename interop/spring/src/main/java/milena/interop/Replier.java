package milena.interop;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.messaging.handler.annotation.SendTo;

/**
 * Answers every request with {@code --prefix} and its own text; in {@code --format=json} a {@link Question} with an
 * {@link Answer}. Replies go to {@code --send-to}; without it, to where the request says.
 */
@Configuration
public class Replier {
    @Bean
    ConcurrentKafkaListenerContainerFactory<String, Object> kafkaListenerContainerFactory(
            DefaultKafkaConsumerFactory<String, Object> consumers,
            DefaultKafkaProducerFactory<String, Object> producers,
            @Value("${format:text}") String format,
            @Value("${concurrency:1}") int concurrency) {
        var payload = Payload.of(format);
        consumers.setValueDeserializer(payload.requestDeserializer());
        producers.setValueSerializer(payload.replySerializer());
        var factory = new ConcurrentKafkaListenerContainerFactory<String, Object>();
        factory.setConsumerFactory(consumers);
        factory.setReplyTemplate(new KafkaTemplate<>(producers));
        factory.setConcurrency(concurrency);
        return factory;
    }

    @Bean
    Object answering(@Value("${format:text}") String format, @Value("${prefix:}") String prefix) {
        return format.equals("json") ? new AnsweringJson(prefix) : new Answering(prefix);
    }

    /** What an application writes. */
    public static class Answering {
        private final String prefix;

        Answering(String prefix) {
            this.prefix = prefix;
        }

        @KafkaListener(topics = "#{'${topics}'.split(',')}", groupId = "${group}")
        @SendTo("${send-to:}")
        public String answer(String request) {
            return prefix + request;
        }
    }

    /** The same in JSON. */
    public static class AnsweringJson {
        private final String prefix;

        AnsweringJson(String prefix) {
            this.prefix = prefix;
        }

        @KafkaListener(topics = "#{'${topics}'.split(',')}", groupId = "${group}")
        @SendTo("${send-to:}")
        public Answer answer(Question request) {
            return new Answer(request.number(), prefix + request.text());
        }
    }
}
