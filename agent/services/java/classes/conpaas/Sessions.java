package conpaas;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;

import org.apache.catalina.LifecycleException;
import org.apache.catalina.Session;
import org.apache.catalina.session.StandardManager;
import org.apache.catalina.session.StandardSession;
import org.apache.catalina.util.CustomObjectInputStream;

/**
 * Keeps the sessions in Redis. A request has the session that it asks for to itself, from when it asks until it ends: others of the
 * session wait, on whatever machine they are. Nothing of a session stays in memory between requests, so that each may come to another
 * machine, and to another version of the program.
 */
public final class Sessions extends StandardManager {
    private static final String KEY = "JAVA_SESSION:";
    private static final String LOCK = "_LOCK";
    private static final int FOREVER = 7 * 24 * 3600; // seconds that a session without an end lives unused
    private static final int GLANCE = 20; // milliseconds between looks at the lock of another request
    private static final String RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

    private final ThreadLocal<Visit> visits = new ThreadLocal<>();
    private final String password = System.getenv("CONPAAS_SESSIONS");
    private String redis; // address:port
    private String holder; // what the words in our locks begin with: the name of the machine
    private int patience; // seconds that a lock is held or waited for at most

    /** What one request has to do with sessions. */
    private final class Visit {
        final Map<String, String> locks = new LinkedHashMap<>(); // id of a session: the word in its lock
        Redis store; // null until it is needed

        Redis store() throws IOException {
            if (store == null) {
                store = new Redis(redis, password);
            }
            return store;
        }
    }

    public Sessions() {
        setPathname(""); // no file
        setPersistAuthentication(true);
    }

    public void setRedis(String redis) { this.redis = redis; }

    public void setHolder(String holder) { this.holder = holder; }

    public void setPatience(int patience) { this.patience = patience; }

    /** Begins a request. */
    void begin() { visits.set(new Visit()); }

    /** Ends a request: its sessions are kept, and others may have them. */
    void end() throws IOException {
        Visit visit = visits.get();
        visits.remove();
        if (visit == null || visit.store == null) {
            return;
        }
        try (Redis store = visit.store) {
            for (Map.Entry<String, String> lock : visit.locks.entrySet()) {
                if (sessions.remove(lock.getKey()) instanceof StandardSession session && session.isValid()) {
                    save(store, session);
                }
            }
        } finally {
            release(visit.locks);
        }
    }

    @Override
    public void add(Session session) {
        Visit visit = visits.get();
        if (visit != null && !visit.locks.containsKey(session.getIdInternal())) { // a new one, or one with a new id
            try {
                hold(visit, session.getIdInternal());
            } catch (IOException e) {
                throw new IllegalStateException("the session cannot be begun", e);
            }
        }
        super.add(session);
    }

    @Override
    public Session findSession(String id) throws IOException {
        Visit visit = visits.get();
        if (id == null || visit == null || visit.locks.containsKey(id)) {
            return super.findSession(id);
        }
        // Any word may come as an id, and nothing is locked for it. A new session has its lock before it is kept.
        if (((Long) visit.store().ask("EXISTS", KEY + id, KEY + id + LOCK)) == 0) {
            return null;
        }
        hold(visit, id);
        byte[] data = (byte[]) visit.store().ask("GET", KEY + id);
        return data == null ? null : load(id, data);
    }

    private Session load(String id, byte[] data) {
        ClassLoader before = getContext().bind(false, null);
        try (CustomObjectInputStream in = new CustomObjectInputStream(new ByteArrayInputStream(data), getContext().getLoader().getClassLoader(),
                getContext().getLogger(), getSessionAttributeValueClassNamePattern(), getWarnOnSessionAttributeFilterFailure())) {
            StandardSession session = (StandardSession) createEmptySession();
            session.readObjectData(in);
            session.setManager(this);
            add(session);
            session.endAccess(); // it is no new one any more
            return session.isValid() ? session : null;
        } catch (IOException | ClassNotFoundException | RuntimeException | LinkageError e) {
            sessions.remove(id);
            getContext().getLogger().warn("this version cannot read a session that another one has kept, which begins anew: " + e);
            return null;
        } finally {
            getContext().unbind(false, before);
        }
    }

    private void save(Redis store, StandardSession session) throws IOException {
        for (String name : Collections.list(session.getSession().getAttributeNames())) {
            Object value = session.getSession().getAttribute(name);
            if (value != null && !(value instanceof Serializable)) {
                getContext().getLogger().warn("attribute " + name + " of a session ends with its request: " + value.getClass().getName() + " is not Serializable");
            }
        }
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        ClassLoader before = getContext().bind(false, null);
        try (ObjectOutputStream out = new ObjectOutputStream(data)) {
            session.writeObjectData(out);
        } finally {
            getContext().unbind(false, before);
        }
        int life = session.getMaxInactiveInterval() > 0 ? session.getMaxInactiveInterval() : FOREVER;
        store.ask("SET", KEY + session.getIdInternal(), data.toByteArray(), "EX", life);
    }

    @Override
    public void remove(Session session, boolean update) {
        super.remove(session, update);
        Visit visit = visits.get();
        if (visit != null) {
            try {
                visit.store().ask("DEL", KEY + session.getIdInternal());
            } catch (IOException e) {
                throw new IllegalStateException("the session cannot be ended", e);
            }
        }
    }

    @Override
    protected void stopInternal() throws LifecycleException {
        sessions.clear(); // else they would be ended, and they go on elsewhere
        super.stopInternal();
    }

    private void hold(Visit visit, String id) throws IOException {
        String word = holder + "|" + UUID.randomUUID();
        long end = System.nanoTime() + patience * 1_000_000_000L;
        while (visit.store().ask("SET", KEY + id + LOCK, word, "NX", "EX", patience) == null) {
            if (System.nanoTime() > end) {
                throw new IOException("another request has had the session for more than " + patience + " s");
            }
            try {
                Thread.sleep(GLANCE);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("the wait for a session was broken off", e);
            }
        }
        visit.locks.put(id, word);
    }

    /** A conversation of its own: that of the request may have failed in the middle. */
    private void release(Map<String, String> locks) throws IOException {
        if (locks.isEmpty()) {
            return;
        }
        try (Redis store = new Redis(redis, password)) {
            for (Map.Entry<String, String> lock : locks.entrySet()) {
                store.ask("EVAL", RELEASE, 1, KEY + lock.getKey() + LOCK, lock.getValue());
            }
        }
    }
}
