"""Values that are a secret because of the name they are assigned to: the name of a provider, and the value's shape.

Most rows are facts of the rules of gitleaks (`config/gitleaks.toml`, rule by provider), which its authors took from the
providers' pages: a word in the name, and the alphabet and length of the value. `%` classes as in `formats.py`; letters
count in either case.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml"


@dataclass(frozen=True, slots=True)
class Named:
    kind: str
    words: tuple[str, ...]
    pattern: str
    entropy: float = 2.0
    source: str = SOURCE


def _n(kind: str, pattern: str, *words: str, entropy: float = 2.0) -> Named:
    return Named(f"secret.{kind}", words or (kind.split("_")[0],), pattern, entropy)


NAMED = (
    _n("adafruit_key", "%w{32}"),
    _n("adobe_client_id", "%h{32}"),
    _n("airtable_key", "%A{17}"),
    _n("algolia_key", "%A{32}"),
    _n("alibaba_secret_key", "%A{30}"),
    _n("asana_client_id", "%d{16}"),
    _n("asana_client_secret", "%A{32}"),
    _n("atlassian_token", "%A{20}%h{4}", "atlassian", "confluence", "jira", entropy=3.0),
    _n("aws_secret_key", "[A-Za-z0-9+/]{40}", "aws", "amazon", entropy=3.8),
    _n("beamer_key", "b_[A-Za-z0-9=_-]{44}"),
    _n("bitbucket_client_id", "%A{32}"),
    _n("bitbucket_client_secret", "[A-Za-z0-9=_-]{64}"),
    _n("bittrex_key", "%A{32}"),
    _n("meraki_key", "%h{40}", entropy=3.0),
    _n("cloudflare_key", "%w{40}"),
    _n("cloudflare_global_key", "%h{37}"),
    _n("codecov_token", "%A{32}"),
    _n("cohere_key", "%A{40}", "cohere", "co_api_key", entropy=3.5),
    _n("coinbase_token", "%w{64}"),
    _n("confluent_key", "%A{16}"),
    _n("confluent_secret", "%A{64}"),
    _n("contentful_token", "[A-Za-z0-9=_-]{43}"),
    _n("datadog_key", "%A{40}", "datadog", "dd_app_key"),
    _n("datadog_key", "%h{32}", "datadog", "dd_api_key"),
    _n("deepgram_key", "%h{40}", "deepgram"),
    _n("discord_token", "%h{64}"),
    _n("discord_client_id", "%d{17,19}"),
    _n("discord_client_secret", "[A-Za-z0-9=_-]{32}"),
    _n("discord_bot_token", "[MNO][A-Za-z0-9]{23,27}\\.%w{6}\\.%w{27,38}", "discord", "bot_token", "token"),
    _n("droneci_token", "%A{32}", "droneci", "drone_token"),
    _n("dropbox_token", "%A{15}"),
    _n("dropbox_token", "%A{11}AAAAAAAAAA[A-Za-z0-9_=-]{43}"),
    _n("etsy_token", "%A{24}", entropy=3.0),
    _n("facebook_secret", "%h{32}", entropy=3.0),
    _n("facebook_app_token", "%d{15,16}[|%][A-Za-z0-9_-]{27,40}", entropy=3.0),
    _n("fastly_token", "[A-Za-z0-9=_-]{32}"),
    _n("finicity_token", "%h{32}"),
    _n("finicity_client_secret", "%A{20}"),
    _n("finnhub_token", "%A{20}"),
    _n("flickr_token", "%A{32}"),
    _n("freemius_key", "sk_[A-Za-z0-9~!@#$%^*_+-]{29}", "secret_key", entropy=3.0),
    _n("freshbooks_token", "%A{64}"),
    _n("gitter_token", "%w{40}"),
    _n("gocardless_token", "live_[A-Za-z0-9_=-]{40}"),
    _n("heroku_key", "%u"),
    _n("hubspot_key", "%u"),
    _n("intercom_key", "[A-Za-z0-9=_-]{60}"),
    _n("jfrog_key", "%A{73}", "jfrog", "artifactory", "bintray", "xray"),
    _n("jfrog_identity_token", "%A{64}", "jfrog", "artifactory", "bintray", "xray"),
    _n("kraken_token", "[A-Za-z0-9/=_+-]{80,90}"),
    _n("kucoin_key", "%h{24}"),
    _n("kucoin_secret", "%u"),
    _n("launchdarkly_token", "[A-Za-z0-9=_-]{40}"),
    _n("linear_client_secret", "%h{32}", "linear"),
    _n("linkedin_client_id", "%A{14}", "linkedin", "linked_in", "linked-in"),
    _n("linkedin_client_secret", "%A{16}", "linkedin", "linked_in", "linked-in"),
    _n("lob_key", "(?:live|test)_%h{35}"),
    _n("looker_client_id", "%A{20}"),
    _n("looker_client_secret", "%A{24}"),
    _n("mailchimp_key", "%h{32}-us%d%d?"),
    _n("mailgun_key", "(?:pub)?key-%h{32}"),
    _n("mailgun_signing_key", "[a-h0-9]{32}-[a-h0-9]{8}-[a-h0-9]{8}"),
    _n("mapbox_token", "[ps]k\\.%A{60}\\.%A{22}"),
    _n("mattermost_token", "%A{26}"),
    _n("messagebird_token", "%A{25}", "messagebird", "message_bird", "message-bird"),
    _n("messagebird_client_id", "%u", "messagebird", "message_bird", "message-bird"),
    _n("netlify_token", "[A-Za-z0-9=_-]{40,46}"),
    _n("new_relic_user_id", "%A{64}", "newrelic", "new_relic", "new-relic"),
    _n("new_relic_license_key", "%h{36}NRAL", "newrelic", "new_relic", "new-relic"),
    _n("nytimes_token", "[A-Za-z0-9=_-]{32}", "nytimes", "newyorktimes", "new-york-times"),
    _n("okta_token", "00[A-Za-z0-9_=-]{40}", entropy=3.8),
    _n("pagerduty_key", "[A-Za-z0-9+_-]{20}", "pagerduty", "pager_duty", entropy=3.0),
    _n("plaid_client_id", "%A{24}", entropy=3.2),
    _n("plaid_secret", "%A{30}", entropy=3.2),
    _n("plaid_token", "access-(?:sandbox|development|production)-%u"),
    _n("postmark_token", "%u", "postmark"),
    _n("privateai_token", "%a{32}", "privateai", "private_ai", "private-ai", entropy=3.0),
    _n("rapidapi_key", "%w{50}"),
    _n("rollbar_token", "%h{32}", "rollbar"),
    _n("sendbird_access_id", "%u"),
    _n("sendbird_token", "%h{40}"),
    _n("sentry_token", "%h{64}", entropy=3.0),
    _n("shodan_key", "%A{32}", "shodan", entropy=3.0),
    _n("sidekiq_credentials", "%h{8}:%h{8}", "contribsys__com"),
    _n("snyk_token", "%u", "snyk"),
    _n("sonar_token", "(?:sq[upa]_)?[A-Za-z0-9=_-]{40}", "sonar"),
    _n("squarespace_token", "%u"),
    _n("sumologic_access_id", "su%A{12}", "sumo", entropy=3.0),
    _n("sumologic_token", "%A{64}", "sumo", entropy=3.0),
    _n("telegram_bot_token", "%d{5,16}:A[A-Za-z0-9_-]{34}", "telegr"),
    _n("travisci_token", "%A{22}", "travis"),
    _n("twilio_auth_token", "%h{32}", "twilio", entropy=3.0),
    _n("twitch_token", "%A{30}"),
    _n("twitter_access_secret", "%A{45}"),
    _n("twitter_access_token", "%d{15,25}-%A{20,40}"),
    _n("twitter_api_key", "%A{25}"),
    _n("twitter_api_secret", "%A{50}"),
    _n("twitter_bearer_token", "A{22}[A-Za-z0-9%]{80,120}"),
    _n("typeform_token", "tfp_[A-Za-z0-9_.=-]{59}"),
    _n("yandex_access_token", "t1\\.[A-Z0-9a-z_-]{1,250}={0,2}\\.%w{86}={0,2}"),
    _n("yandex_aws_key", "YC%w{38}"),
    _n("yandex_key", "AQVN%w{35,38}"),
    _n("zendesk_secret", "%A{40}"),
    _n("zoom_jwt_secret", "%A{36}", "zoom", entropy=3.5),
)
