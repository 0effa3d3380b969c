import { describe } from "vitest";

import { describeBodies } from "./cases/bodies.ts";
import { describeConflicts } from "./cases/conflicts.ts";
import { describeDispositions } from "./cases/dispositions.ts";
import { describeKeys } from "./cases/keys.ts";
import { describeLostReplies } from "./cases/lost-replies.ts";
import { describeOutages } from "./cases/outages.ts";
import { describeReplays } from "./cases/replays.ts";
import type { StartService } from "./service.ts";
import { setting } from "./setting.ts";
import { stores } from "./store.ts";

/** What every adapter promises, over real HTTP, on each store. */
export function describeService(start: StartService): void {
  describe.each(Object.keys(stores))("on %s", (store) => {
    const here = setting(start, store);
    describeKeys(here);
    describeReplays(here);
    describeConflicts(here);
    describeDispositions(here);
    describeBodies(here);
    describeOutages(here);
    describeLostReplies(here);
  });
}
