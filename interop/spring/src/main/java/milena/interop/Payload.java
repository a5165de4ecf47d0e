package milena.interop;

import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.support.serializer.JacksonJsonDeserializer;
import org.springframework.kafka.support.serializer.JacksonJsonSerializer;

/**
 * What requests and replies are: {@code --format=text} or {@code --format=json}. In JSON neither needs to have Spring's
 * header {@code __TypeId__}, which others do not write: the types are known here.
 */
interface Payload<Q, A> {
    Q request(int number, String text);

    A reply(Q request, String prefix);

    Serializer<Q> requestSerializer();

    Deserializer<Q> requestDeserializer();

    Serializer<A> replySerializer();

    Deserializer<A> replyDeserializer();

    /** Which types these are is nothing that Spring's beans need to know. */
    @SuppressWarnings("unchecked")
    static Payload<Object, Object> of(String format) {
        Payload<?, ?> payload = format.equals("json") ? new Json() : new Text();
        return (Payload<Object, Object>) payload;
    }

    final class Text implements Payload<String, String> {
        @Override
        public String request(int number, String text) {
            return text;
        }

        @Override
        public String reply(String request, String prefix) {
            return prefix + request;
        }

        @Override
        public Serializer<String> requestSerializer() {
            return new StringSerializer();
        }

        @Override
        public Deserializer<String> requestDeserializer() {
            return new StringDeserializer();
        }

        @Override
        public Serializer<String> replySerializer() {
            return new StringSerializer();
        }

        @Override
        public Deserializer<String> replyDeserializer() {
            return new StringDeserializer();
        }
    }

    final class Json implements Payload<Question, Answer> {
        @Override
        public Question request(int number, String text) {
            return new Question(number, text);
        }

        @Override
        public Answer reply(Question request, String prefix) {
            return new Answer(request.number(), prefix + request.text());
        }

        @Override
        public Serializer<Question> requestSerializer() {
            return new JacksonJsonSerializer<>();
        }

        @Override
        public Deserializer<Question> requestDeserializer() {
            return new JacksonJsonDeserializer<>(Question.class);
        }

        @Override
        public Serializer<Answer> replySerializer() {
            return new JacksonJsonSerializer<>();
        }

        @Override
        public Deserializer<Answer> replyDeserializer() {
            return new JacksonJsonDeserializer<>(Answer.class);
        }
    }
}
