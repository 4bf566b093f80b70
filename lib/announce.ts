/**
 * Tells the program, by events, and a person, by the log, what the worker reports.
 *
 * @module
 */
import { showBroker } from "./address.ts";
import type { PublisherEvent } from "./core/report.ts";
import { fromWire } from "./errors.ts";
import type { EventQueue } from "./events.ts";
import type { Log } from "./log.ts";

/** One event of the publisher becomes one event of the client and one record. */
export function announce(event: PublisherEvent, events: EventQueue, log: Log): void {
  switch (event.type) {
    case "connect": {
      const { broker, server } = event;
      events.add("connect", { broker, server });
      const session = server.sessionPresent ? "session present" : "new session";
      return log.write(
        "info",
        "connect",
        `Connected to ${showBroker(broker)}, MQTT ${server.protocolVersion === 5 ? "5" : "3.1.1"}, ${session}`,
      );
    }
    case "disconnect": {
      const { type: _, ...detail } = event;
      events.add("disconnect", detail);
      // That a program goes offline by its own wish is no news.
      if (event.retryInMs === undefined) return log.write("info", "disconnect", `Disconnected: ${event.reason}`);
      const what = event.isTakenOver
        ? "Another client has taken the session over"
        : event.isLoginRefused
        ? "The broker refuses the credentials"
        : event.wasConnected
        ? "The connection is lost"
        : "Cannot connect";
      return log.write("warn", "disconnect", `${what}: ${event.reason}, next attempt in ${Math.round(event.retryInMs)} ms`);
    }
    case "quarantined": {
      const { type: _, ...detail } = event;
      events.add("quarantined", detail);
      return log.write(
        "warn",
        "quarantined",
        `Quarantined ${event.ids.length === 1 ? `message ${event.ids[0]}` : `${event.ids.length} messages`}: ${event.reason}`,
      );
    }
    case "expired":
      events.add("expired", { ids: event.ids });
      return log.write("info", "expired", `Expired ${event.ids.length === 1 ? `message ${event.ids[0]}` : `${event.ids.length} messages`}`);
    case "sessionlost": {
      const { requeuedCount, duplicatesPossibleCount } = event;
      events.add("sessionlost", { requeuedCount, duplicatesPossibleCount });
      return log.write(
        "warn",
        "sessionlost",
        `The broker has lost the session: ${requeuedCount} messages go again as new, ${duplicatesPossibleCount} of them may arrive twice`,
      );
    }
    case "error": {
      const error = fromWire(event.error);
      events.add("error", { error });
      return log.write("warn", "error", error.message);
    }
  }
}
