package milena.interop;

import io.smallrye.common.annotation.Identifier;
import io.smallrye.reactive.messaging.kafka.KafkaRecord;
import io.smallrye.reactive.messaging.kafka.reply.ReplyFailureHandler;
import jakarta.enterprise.context.ApplicationScoped;
import java.nio.charset.StandardCharsets;

/** Tells errors as the example in SmallRye's documentation does: by a header of this name, which is the message. */
@ApplicationScoped
@Identifier("reply-errors")
public class ReplyErrors implements ReplyFailureHandler {
    static final String HEADER = "REPLY_ERROR";

    @Override
    public Throwable handleReply(KafkaRecord<?, ?> reply) {
        var header = reply.getHeaders().lastHeader(HEADER);
        return header == null ? null : new IllegalArgumentException(new String(header.value(), StandardCharsets.UTF_8));
    }
}
