package milena.interop;

import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.springframework.beans.factory.annotation.Value;
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
import org.springframework.messaging.handler.annotation.SendTo;
import org.springframework.util.backoff.FixedBackOff;

/**
 * Fails with every request of {@code --topics}, twice, and leaves it to Spring's own dead letters; prints what an
 * application sees of the letters in {@code --letters}. Once it is told {@code heal=true} it answers requests with
 * {@code --prefix} and their text; told {@code heal=letters} it does so with what the letters have in them.
 */
@Configuration
public class DeadLetters {
    @Bean
    ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory(
            ConsumerFactory<String, String> consumers, ProducerFactory<String, String> producers) {
        var factory = new ConcurrentKafkaListenerContainerFactory<String, String>();
        factory.setConsumerFactory(consumers);
        var template = new KafkaTemplate<>(producers);
        var recoverer = new DeadLetterPublishingRecoverer(template);
        factory.setCommonErrorHandler(new DefaultErrorHandler(recoverer, new FixedBackOff(0, 1)));
        factory.setReplyTemplate(template);
        return factory;
    }

    @Bean
    Health health() {
        return new Health();
    }

    @Bean
    Paying paying(Health health, @Value("${prefix:}") String prefix) {
        return new Paying(health, prefix);
    }

    @Bean
    Reading reading(Health health, Paying paying) {
        return new Reading(health, paying);
    }

    static final class Health implements Program {
        final AtomicBoolean healed = new AtomicBoolean();
        final AtomicBoolean takesLetters = new AtomicBoolean();

        @Override
        public void take(Map<String, String> order) {
            healed.set(true);
            takesLetters.set("letters".equals(order.get("heal")));
            Main.print("{\"event\":\"healed\"}");
        }
    }

    public static class Paying {
        private final Health health;
        private final String prefix;

        Paying(Health health, String prefix) {
            this.health = health;
            this.prefix = prefix;
        }

        @KafkaListener(topics = "${topics}", groupId = "${group}")
        @SendTo
        public String pay(String request) {
            if (!health.healed.get()) throw new IllegalStateException("no such account: " + request);
            Main.print("{\"event\":\"handled\",\"value\":\"%s\"}".formatted(request));
            return prefix + request;
        }
    }

    /** By Spring's own names and conversions of the headers. A reply goes to where the request wanted it. */
    public static class Reading {
        private final Health health;
        private final Paying paying;

        Reading(Health health, Paying paying) {
            this.health = health;
            this.paying = paying;
        }

        @KafkaListener(topics = "${letters}", groupId = "${group}-letters")
        @SendTo
        public String read(
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
            return health.takesLetters.get() ? paying.pay(value) : null;
        }
    }
}
