package milena.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.SimpleCommandLinePropertySource;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.ProducerFactory;

/**
 * One side of a conversation, as a Spring application has it. {@code --role=replier}, {@code --role=requester}, {@code --role=dead-letters} or
 * {@code --role=retries};
 * the other options are named where they are injected. Events go to standard output, one JSON object a line;
 * a requester takes its orders from standard input. When that ends, so does the process.
 */
@Configuration
@EnableKafka
public class Main {
    private static final Map<String, Class<?>> roles = Map.of(
            "replier", Replier.class,
            "requester", Requester.class,
            "aggregating", Aggregating.class,
            "dead-letters", DeadLetters.class,
            "retries", Retries.class);

    public static void main(String[] args) throws Exception {
        var options = new SimpleCommandLinePropertySource(args);
        try (var context = new AnnotationConfigApplicationContext()) {
            context.getEnvironment().getPropertySources().addFirst(options);
            var requesting = "requester".equals(options.getProperty("role"));
            context.register(Main.class, roles.get(options.getProperty("role")));
            context.refresh();
            var requester = requesting ? context.getBean(Requester.class) : null;
            if (requester != null) requester.awaitAssignment();
            var orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line; (line = orders.readLine()) != null; ) {
                if (requester != null) requester.ask(settings(line, " "));
            }
        }
        System.exit(0);
    }

    /** Prints one event; the whole line at once, since several threads may have something to say. */
    static void print(String json) {
        synchronized (System.out) {
            System.out.print(json + "\n");
            System.out.flush();
        }
    }

    /** Reads {@code name=value}, separated. */
    static Map<String, String> settings(String text, String separator) {
        var settings = new HashMap<String, String>();
        for (var each : text.split(separator)) {
            var at = each.indexOf('=');
            if (at > 0) settings.put(each.substring(0, at), each.substring(at + 1));
        }
        return settings;
    }

    /** Spring's and Kafka's defaults, but for what {@code --producer=name=value,…} says. */
    @Bean
    ProducerFactory<String, String> producers(
            @Value("${brokers}") String brokers, @Value("${producer:}") String settings) {
        var all = new HashMap<String, Object>(settings(settings, ","));
        all.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        return new DefaultKafkaProducerFactory<>(all, new StringSerializer(), new StringSerializer());
    }

    /**
     * Spring's and Kafka's defaults, but for what {@code --consumer=name=value,…} says; and a group without
     * offsets begins at the first record, so that nothing depends on who is up first.
     */
    @Bean
    ConsumerFactory<String, String> consumers(
            @Value("${brokers}") String brokers, @Value("${consumer:}") String settings) {
        var all = new HashMap<String, Object>();
        all.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        all.putAll(settings(settings, ","));
        all.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        return new DefaultKafkaConsumerFactory<>(all, new StringDeserializer(), new StringDeserializer());
    }
}
