package conpaas;

import java.io.IOException;

import jakarta.servlet.ServletException;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;

/** Tells Sessions where a request begins and ends. */
public final class SessionValve extends ValveBase {
    public SessionValve() { super(true); }

    @Override
    public void invoke(Request request, Response response) throws IOException, ServletException {
        if (!(request.getContext().getManager() instanceof Sessions sessions)) { // the program has chosen another one
            getNext().invoke(request, response);
            return;
        }
        sessions.begin();
        try {
            getNext().invoke(request, response);
        } finally {
            sessions.end();
        }
    }
}
