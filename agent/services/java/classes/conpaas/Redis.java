package conpaas;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/** A conversation with Redis (Redis serialization protocol, version 2). */
final class Redis implements Closeable {
    private static final int CONNECT = 2000; // milliseconds
    private static final int ANSWER = 5000;

    private final Socket socket = new Socket();
    private final InputStream in;
    private final OutputStream out;

    /** Logs in at address:port. */
    Redis(String at, String password) throws IOException {
        int colon = at.lastIndexOf(':');
        try {
            socket.setTcpNoDelay(true);
            socket.setSoTimeout(ANSWER);
            socket.connect(new InetSocketAddress(at.substring(0, colon), Integer.parseInt(at.substring(colon + 1))), CONNECT);
            in = new BufferedInputStream(socket.getInputStream());
            out = new BufferedOutputStream(socket.getOutputStream());
            ask("AUTH", password);
        } catch (IOException e) {
            socket.close();
            throw e;
        }
    }

    /** Gives the answer to a command whose words are text or bytes: a String, a Long, bytes, or null for nothing. */
    Object ask(Object... words) throws IOException {
        write("*" + words.length);
        for (Object word : words) {
            byte[] bytes = word instanceof byte[] raw ? raw : word.toString().getBytes(StandardCharsets.UTF_8);
            write("$" + bytes.length);
            out.write(bytes);
            write("");
        }
        out.flush();
        String line = line();
        String text = line.substring(Math.min(1, line.length()));
        if (line.startsWith("+")) {
            return text;
        } else if (line.startsWith(":")) {
            return Long.valueOf(text);
        } else if (line.equals("$-1")) {
            return null;
        } else if (line.startsWith("$")) {
            byte[] bytes = in.readNBytes(Integer.parseInt(text));
            line();
            return bytes;
        }
        throw new IOException("Redis answers " + line);
    }

    private void write(String line) throws IOException { out.write((line + "\r\n").getBytes(StandardCharsets.US_ASCII)); }

    private String line() throws IOException {
        StringBuilder text = new StringBuilder();
        for (int c = in.read(); c != '\n'; c = in.read()) {
            if (c < 0) {
                throw new EOFException("Redis has closed the connection");
            } else if (c != '\r') {
                text.append((char) c);
            }
        }
        return text.toString();
    }

    @Override
    public void close() throws IOException { socket.close(); }
}
