package milena.interop;

import java.util.List;
import java.util.Map;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.core.env.SimpleCommandLinePropertySource;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.kafka.listener.MessageListenerContainer;

/** One application of this process: the context of a role. */
final class Part {
    private final AnnotationConfigApplicationContext context;
    /** What takes its orders, if anything does. */
    private final Program program;

    private Part(AnnotationConfigApplicationContext context) {
        this.context = context;
        this.program = context.getBeanProvider(Program.class).getIfAvailable();
    }

    static Part start(List<String> args, Map<String, Class<?>> roles) {
        var options = new SimpleCommandLinePropertySource(args.toArray(String[]::new));
        var role = roles.get(options.getProperty("role"));
        if (role == null) throw new IllegalArgumentException("--role must be one of " + roles.keySet());
        var context = new AnnotationConfigApplicationContext();
        context.getEnvironment().getPropertySources().addFirst(options);
        context.register(Main.class, role);
        context.refresh();
        return new Part(context);
    }

    /** Until each of its listeners has a partition, and its program can begin. */
    void awaitReady() throws InterruptedException {
        var listeners = context.getBean(KafkaListenerEndpointRegistry.class).getAllListenerContainers();
        for (var listener : listeners) while (!hasPartition(listener)) Thread.sleep(20);
        if (program != null) program.begin();
    }

    private static boolean hasPartition(MessageListenerContainer listener) {
        var assigned = listener.getAssignedPartitions();
        return assigned != null && !assigned.isEmpty();
    }

    void take(Map<String, String> order) throws InterruptedException {
        if (program != null) program.take(order);
    }

    void close() {
        context.close();
    }
}
