package milena.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;

/**
 * One or more applications, each an application context of its own: every {@code --role=} begins the options of the next.
 * The other options are named where they are injected. Events go to standard output, one JSON object a line: {@code ready}
 * when all have partitions. Orders come from standard input, {@code to=} the number of a role. When that ends, so does the
 * process.
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
        var parts = new ArrayList<Part>();
        try {
            var options = new ArrayList<String>();
            for (var arg : args) {
                if (arg.startsWith("--role=") && !options.isEmpty()) {
                    parts.add(Part.start(options, roles));
                    options.clear();
                }
                options.add(arg);
            }
            parts.add(Part.start(options, roles));
            for (var part : parts) part.awaitReady();
            print("{\"event\":\"ready\"}");
            var orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line; (line = orders.readLine()) != null; ) {
                var order = settings(line, " ");
                parts.get(Integer.parseInt(order.getOrDefault("to", "0"))).take(order);
            }
        } finally {
            for (var part : parts) part.close();
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

    /**
     * Strings, unless a role sets another serializer. Spring's and Kafka's defaults, but for what {@code --producer=name=value,…}
     * says.
     */
    @Bean
    DefaultKafkaProducerFactory<?, ?> producers(
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
    DefaultKafkaConsumerFactory<?, ?> consumers(
            @Value("${brokers}") String brokers, @Value("${consumer:}") String settings) {
        var all = new HashMap<String, Object>();
        all.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        all.putAll(settings(settings, ","));
        all.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        return new DefaultKafkaConsumerFactory<>(all, new StringDeserializer(), new StringDeserializer());
    }
}
