package milena.interop;

import io.smallrye.reactive.messaging.kafka.api.OutgoingKafkaRecordMetadata;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.inject.Inject;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.eclipse.microprofile.reactive.messaging.Incoming;
import org.eclipse.microprofile.reactive.messaging.Message;
import org.eclipse.microprofile.reactive.messaging.Outgoing;

/** A processor, as SmallRye's documentation has it: the outgoing channel finds where to answer in the incoming record. */
@ApplicationScoped
public class Answering {
    @Inject
    @ConfigProperty(name = "prefix")
    String prefix;

    /** Messages and not texts, for the header of an error: there is no other way to answer with one. */
    @Incoming("asked")
    @Outgoing("answers")
    Message<String> answer(Message<String> request) {
        if (!"fail".equals(request.getPayload())) return request.withPayload(prefix + request.getPayload());
        var headers = new RecordHeaders();
        headers.add(ReplyErrors.HEADER, "the card has expired".getBytes(StandardCharsets.UTF_8));
        return request.<String>withPayload(null)
                .addMetadata(OutgoingKafkaRecordMetadata.builder().withHeaders(headers).build());
    }
}
