package milena.interop;

import java.util.Map;

/** A role that does what it is told. */
interface Program {
    /** Called once, when everything has started; returns when it can take orders. */
    default void begin() throws InterruptedException {}

    void take(Map<String, String> order) throws InterruptedException;
}
