// The page to which apps send their users for consent.

import { askConsent } from "/assets/consent-form.js";

askConsent(location.search.slice(1));
