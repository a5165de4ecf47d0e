package milena.interop;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** What makes Milena's error reply a failed future; docs/interop.md has these lines. */
public final class ReplyErrors {
    private ReplyErrors() {}

    public static final class RemoteException extends RuntimeException {
        private static final long serialVersionUID = 1;
        public final String code;

        RemoteException(String code, String message) {
            super(code + ": " + message);
            this.code = code;
        }
    }

    static Exception check(ConsumerRecord<?, ?> reply) {
        var code = text(reply, "milena-error-code");
        return code == null ? null : new RemoteException(code, text(reply, "milena-error-message"));
    }

    private static String text(ConsumerRecord<?, ?> reply, String name) {
        var header = reply.headers().lastHeader(name);
        if (header == null || header.value() == null) return null;
        return new String(header.value(), StandardCharsets.UTF_8);
    }
}
