package conpaas;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicInteger;

import jakarta.servlet.ServletException;
import org.apache.catalina.Container;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;

/** The first to see a request: it counts those in flight, and tells the agent how the program is. */
public final class Front extends ValveBase {
    private static final String STATUS = "/.conpaas/status";

    private final AtomicInteger active = new AtomicInteger();

    public Front() { super(true); }

    @Override
    public void invoke(Request request, Response response) throws IOException, ServletException {
        if (request.getRequestURI().equals(STATUS)) {
            Container program = request.getHost().findChild("");
            response.setContentType("text/plain");
            response.getWriter().print((program == null ? "ABSENT" : program.getStateName()) + " " + active.get());
            return;
        }
        active.incrementAndGet();
        try {
            getNext().invoke(request, response);
        } finally {
            active.decrementAndGet();
        }
    }
}
