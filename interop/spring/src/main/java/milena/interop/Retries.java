package milena.interop;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.EnableKafkaRetryTopic;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.core.ProducerFactory;
import org.springframework.kafka.retrytopic.RetryTopicConfiguration;
import org.springframework.kafka.retrytopic.RetryTopicConfigurationBuilder;
import org.springframework.scheduling.TaskScheduler;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;

/** Fails with every request of {@code --topics}, and leaves it to Spring's own retry topics, {@code -retry-0} and {@code -retry-1}. */
@Configuration
@EnableKafkaRetryTopic
public class Retries {
    @Bean
    ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory(
            ConsumerFactory<String, String> consumers) {
        var factory = new ConcurrentKafkaListenerContainerFactory<String, String>();
        factory.setConsumerFactory(consumers);
        return factory;
    }

    @Bean
    TaskScheduler scheduler() {
        return new ThreadPoolTaskScheduler();
    }

    @Bean
    RetryTopicConfiguration chain(
            ProducerFactory<String, String> producers, @Value("${topics}") String topic) {
        return RetryTopicConfigurationBuilder.newInstance()
                .exponentialBackoff(100, 2, 1_000)
                .maxAttempts(3)
                .suffixTopicsWithIndexValues()
                .doNotAutoCreateRetryTopics()
                .includeTopic(topic)
                .create(new KafkaTemplate<>(producers));
    }

    @Bean
    Failing failing() {
        return new Failing();
    }

    public static class Failing {
        @KafkaListener(topics = "${topics}", groupId = "${group}")
        public void fail(String request) {
            throw new IllegalStateException("not now: " + request);
        }
    }
}
