package milena.interop;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Makes Milena's error reply a failed future: {@code template.setReplyErrorChecker(ReplyErrors::check)}. */
public final class ReplyErrors {
    private ReplyErrors() {}

    /** What the replier says: a code, such as {@code MILENA_HANDLER_FAILED}, and words. */
    public static final class RemoteException extends RuntimeException {
        private static final long serialVersionUID = 1;

        public final String code;
        /** {@code none}, {@code done}, or {@code unknown}: what the request has done before it failed. */
        public final String effect;
        /** Whether asking again, later, is safe and can succeed. */
        public final boolean retryable;

        RemoteException(String code, String message, String effect, boolean retryable) {
            super(code + ": " + message);
            this.code = code;
            this.effect = effect;
            this.retryable = retryable;
        }
    }

    public static Exception check(ConsumerRecord<?, ?> reply) {
        var code = text(reply, "milena-error-code", null);
        if (code == null) return null; // a reply as any other
        return new RemoteException(
                code,
                text(reply, "milena-error-message", ""),
                text(reply, "milena-error-effect", "unknown"),
                text(reply, "milena-error-retryable", "").equals("true"));
    }

    private static String text(ConsumerRecord<?, ?> reply, String name, String otherwise) {
        var header = reply.headers().lastHeader(name);
        return header == null || header.value() == null
                ? otherwise
                : new String(header.value(), StandardCharsets.UTF_8);
    }
}
