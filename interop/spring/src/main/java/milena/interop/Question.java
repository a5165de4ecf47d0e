package milena.interop;

/** A request in JSON. */
public record Question(int number, String text) {}
