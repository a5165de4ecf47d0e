package milena.interop;

/** A reply in JSON: the question's number, and its text behind the replier's prefix. */
public record Answer(int number, String text) {}
