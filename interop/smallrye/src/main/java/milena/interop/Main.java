package milena.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.jboss.weld.environment.se.Weld;

/**
 * One side of a conversation, as an application of SmallRye Reactive Messaging has it, in Weld without a server around it.
 * {@code --role=replier} with {@code --topics=}, {@code --group=} and {@code --prefix=}; {@code --role=requester} with
 * {@code --topic=}, {@code --reply-topic=}, {@code --reply-partition=}, {@code --timeout=} and {@code --prefix=}; both with
 * {@code --brokers=}. Events go to standard output, one JSON object a line; a requester takes its orders from standard
 * input. When that ends, so does the process.
 */
public final class Main {
    private static final String OUT = "mp.messaging.outgoing.";
    private static final String IN = "mp.messaging.incoming.";
    private static final String TEXT = "org.apache.kafka.common.serialization.String";

    public static void main(String[] args) throws Exception {
        var options = new HashMap<String, String>();
        for (var each : args) {
            var at = each.indexOf('=');
            options.put(each.substring(2, at), each.substring(at + 1));
        }
        var requesting = "requester".equals(options.get("role"));
        configure(options, requesting);
        // The libraries' beans are found in their jars; of ours only those of the role, or channels without topics would be made.
        var weld = new Weld();
        if (requesting) weld.addBeanClasses(Asking.class, ReplyErrors.class);
        else weld.addBeanClasses(Answering.class);
        try (var container = weld.initialize()) {
            var asking = requesting ? container.select(Asking.class).get() : null;
            if (asking != null) asking.awaitAssignment();
            print("{\"event\":\"ready\"}");
            var orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line; (line = orders.readLine()) != null; ) {
                if (asking != null) asking.ask(settings(line), options.getOrDefault("prefix", ""));
            }
        }
        System.exit(0);
    }

    /** As an application does it in its properties file. Its defaults, but that a group without offsets begins at the first record. */
    private static void configure(Map<String, String> options, boolean requesting) {
        set("mp.messaging.connector.smallrye-kafka.bootstrap.servers", options.get("brokers"));
        if (requesting) {
            channel(OUT + "asking.");
            set(OUT + "asking.topic", options.get("topic"));
            set(OUT + "asking.value.deserializer", TEXT + "Deserializer");
            set(OUT + "asking.reply.topic", options.get("reply-topic"));
            set(OUT + "asking.reply.timeout", options.get("timeout"));
            set(OUT + "asking.reply.failure.handler", "reply-errors");
            var partition = options.get("reply-partition");
            if (!"-1".equals(partition)) set(OUT + "asking.reply.partition", partition);
        } else {
            set("prefix", options.get("prefix"));
            channel(IN + "asked.");
            set(IN + "asked.topics", options.get("topics"));
            set(IN + "asked.group.id", options.get("group"));
            set(IN + "asked.auto.offset.reset", "earliest");
            channel(OUT + "answers.");
            set(OUT + "answers.topic", "nowhere");
        }
    }

    private static void channel(String prefix) {
        set(prefix + "connector", "smallrye-kafka");
        set(prefix + (prefix.startsWith(IN) ? "value.deserializer" : "value.serializer"),
                TEXT + (prefix.startsWith(IN) ? "Deserializer" : "Serializer"));
    }

    private static void set(String name, String value) {
        System.setProperty(name, value);
    }

    /** Prints one event; the whole line at once, since several threads may have something to say. */
    static void print(String json) {
        synchronized (System.out) {
            System.out.print(json + "\n");
            System.out.flush();
        }
    }

    /** Reads {@code name=value}, separated by spaces. */
    private static Map<String, String> settings(String text) {
        var settings = new HashMap<String, String>();
        for (var each : text.split(" ")) {
            var at = each.indexOf('=');
            if (at > 0) settings.put(each.substring(0, at), each.substring(at + 1));
        }
        return settings;
    }
}
