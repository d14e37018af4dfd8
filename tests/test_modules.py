"""Every module of the product has a test file: one of its own name, or the one that is listed here.

And that test file mentions the module: its import, a call or type of contracts of its own, or (for
what is reached through other modules alone) the test that is listed here.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import scopegate
from scopegate.composition import declared
from scopegate.exchange.contracts.catalogue import TYPES
from tests.product_files import PACKAGES, ROOT, python_files

OTHER_SUBJECT = frozenset(
    {
        "client/calls.py",  # `test_calls.py` is about the registry of calls
        "client/streams.py",  # `test_streams.py` is about the gateway's
        "exchange/contracts/common/refusals.py",  # `test_refusals.py` is about the command line
        "scopegate/commands/audit.py",  # `test_audit.py` is about what is recorded
        "scopegate/commands/calls.py",  # `test_calls.py` is about their registry
        "scopegate/commands/replay.py",  # `test_replay.py` is about contracts
        "scopegate/recordings/replay.py",  # the same
        "scopegate/reports/trades.py",  # `test_trades.py` is about the jobs that buy and sell
    }
)
"""The modules for which a test file of the same name is none of theirs."""

TESTED_BY: dict[str, str] = {
    # The exchange.
    "exchange/agents.py": "tests/scenarios/test_payments.py",
    "exchange/book.py": "tests/exchange/test_trading_machine.py",
    "exchange/contracts/accumulators.py": "tests/exchange/test_replay.py",
    "exchange/contracts/common/bounds.py": "tests/exchange/test_quoting.py",
    "exchange/contracts/catalogue.py": "tests/exchange/test_eligibility.py",
    "exchange/contracts/digits.py": "tests/exchange/test_replay.py",
    "exchange/contracts/european.py": "tests/exchange/test_replay.py",
    "exchange/contracts/common/contract_type.py": "tests/exchange/test_replay.py",
    "exchange/contracts/common/quote_request.py": "tests/exchange/test_quoting.py",
    "exchange/contracts/common/refusals.py": "tests/exchange/test_quoting.py",
    "exchange/contracts/common/state.py": "tests/exchange/test_replay.py",
    "exchange/contracts/common/listing.py": "tests/exchange/test_quoting.py",
    "exchange/contracts/multipliers.py": "tests/exchange/test_financing.py",
    "exchange/contracts/common/fixed_payout.py": "tests/exchange/test_pricing.py",
    "exchange/contracts/common/orders.py": "tests/exchange/test_quoting.py",
    "exchange/contracts/common/per_point.py": "tests/exchange/test_quoting.py",
    "exchange/contracts/common/short_fields.py": "tests/exchange/test_shortcodes.py",
    "exchange/contracts/shortcode.py": "tests/exchange/test_shortcodes.py",
    "exchange/contracts/common/terms.py": "tests/exchange/test_quoting.py",
    "exchange/contracts/touches.py": "tests/exchange/test_replay.py",
    "exchange/contracts/turbos.py": "tests/exchange/test_replay.py",
    "exchange/contracts/vanillas.py": "tests/exchange/test_replay.py",
    "exchange/contracts/common/wording.py": "tests/scenarios/test_families.py",
    "exchange/exclusion.py": "tests/scenarios/test_self_exclusion.py",
    "exchange/fixedpoint.py": "tests/exchange/test_feed.py",
    "exchange/heartbeat.py": "tests/scenarios/test_streams.py",
    "exchange/hours.py": "tests/exchange/test_symbols.py",
    "exchange/keys.py": "tests/store/test_migrating.py",
    "exchange/levels.py": "tests/exchange/test_pairs.py",
    "exchange/markups.py": "tests/scenarios/test_markup.py",
    "exchange/money.py": "tests/exchange/test_ledger.py",
    "exchange/distribution.py": "tests/exchange/test_walks_and_mixtures.py",
    "exchange/series.py": "tests/exchange/test_recorded.py",
    "exchange/performance.py": "tests/scenarios/test_copying.py",
    "exchange/pricing/widths.py": "tests/exchange/test_pricing.py",
    "exchange/pricing/cancellation.py": "tests/exchange/test_pricing.py",
    "exchange/pricing/knockouts.py": "tests/exchange/test_pricing.py",
    "exchange/pricing/overshoot.py": "tests/exchange/test_walks_and_mixtures.py",
    "exchange/pricing/ranges.py": "tests/exchange/test_two_barriers.py",
    "exchange/pricing/terminal.py": "tests/exchange/test_pricing.py",
    "exchange/pricing/touch.py": "tests/exchange/test_pricing.py",
    "exchange/pricing/walk.py": "tests/exchange/test_walks_and_mixtures.py",
    "exchange/processes/bits.py": "tests/exchange/test_feed.py",
    "exchange/processes/brownian.py": "tests/exchange/test_feed.py",
    "exchange/processes/combined.py": "tests/exchange/test_pairs.py",
    "exchange/processes/jumps.py": "tests/exchange/test_processes.py",
    "exchange/processes/process.py": "tests/exchange/test_processes.py",
    "exchange/processes/rare.py": "tests/exchange/test_processes.py",
    "exchange/processes/daily_resets.py": "tests/exchange/test_processes.py",
    "exchange/processes/spikes.py": "tests/exchange/test_processes.py",
    "exchange/processes/steps.py": "tests/exchange/test_processes.py",
    "exchange/rules.py": "tests/exchange/test_quoting.py",
    # The client.
    "client/calls.py": "tests/client/test_typed_calls.py",
    "client/errors.py": "tests/client/test_client.py",
    "client/messages.py": "tests/client/test_typed_calls.py",
    "client/streams.py": "tests/client/test_client.py",
    # The gateway.
    "gateway/web/field_docs.py": "tests/gateway/test_reply_docs.py",
    "gateway/web/reply_example.py": "tests/gateway/test_reply_docs.py",
    "schemas/error_codes.py": "tests/gateway/test_reply_docs.py",
    "gateway/access/accounts.py": "tests/program/test_framework.py",
    "gateway/access/guard.py": "tests/scenarios/test_revocation.py",
    "gateway/access/stored_faults.py": "tests/scenarios/test_owned_faults.py",
    "gateway/access/faults_in_force.py": "tests/scenarios/test_owned_faults.py",
    "gateway/calls/injecting.py": "tests/program/test_wire_faults.py",
    "scopegate/faults_of_settings.py": "tests/program/test_wire_faults.py",
    "gateway/access/oversight.py": "tests/scenarios/test_sign_in.py",
    "gateway/access/overview.py": "tests/scenarios/test_operator.py",
    "gateway/calls/call_log.py": "tests/monitoring/test_log_lines.py",
    "gateway/calls/handling.py": "tests/monitoring/test_metrics.py",
    "gateway/web/metrics_page.py": "tests/monitoring/test_metrics.py",
    "gateway/access/passwords.py": "tests/scenarios/test_sign_in.py",
    "gateway/access/users.py": "tests/scenarios/test_people.py",
    "gateway/calls/message.py": "tests/gateway/test_dispatch.py",
    "gateway/calls/errors.py": "tests/gateway/test_dispatch.py",
    "gateway/calls/hosts.py": "tests/gateway/test_http.py",
    "gateway/calls/registry.py": "tests/gateway/test_calls.py",
    "gateway/calls/session.py": "tests/gateway/test_dispatch.py",
    "gateway/transport/connection.py": "tests/gateway/test_dispatch.py",
    "gateway/transport/peer.py": "tests/gateway/test_server.py",
    "gateway/transport/handshake.py": "tests/gateway/test_server.py",
    "gateway/web/oauth.py": "tests/scenarios/test_codes.py",
    "gateway/web/oauth_messages.py": "tests/scenarios/test_codes.py",
    "gateway/access/issuing.py": "tests/scenarios/test_refresh_tokens.py",
    "gateway/web/device_endpoint.py": "tests/scenarios/test_devices.py",
    "gateway/web/oauth_clients.py": "tests/scenarios/test_client_secrets.py",
    "gateway/web/token_status.py": "tests/scenarios/test_client_secrets.py",
    "gateway/access/app_secrets.py": "tests/scenarios/test_client_secrets.py",
    "gateway/web/site.py": "tests/gateway/test_http.py",
    # The calls.
    "gateway/access/restrictions.py": "tests/scenarios/test_restricted_tokens.py",
    "gateway/access/token_management.py": "tests/scenarios/test_restricted_tokens.py",
    "gateway/access/token_uses.py": "tests/scenarios/test_tokens.py",
    "handlers/exchange/absent_traders.py": "tests/scenarios/test_restricted_tokens.py",
    "handlers/exchange/account_calls.py": "tests/exchange/test_ledger.py",
    "handlers/exchange/trading_restrictions.py": "tests/process/test_caps.py",
    "handlers/exchange/assessment_calls.py": "tests/scenarios/test_people.py",
    "handlers/exchange/calendar_calls.py": "tests/scenarios/test_markets.py",
    "handlers/exchange/contract_streams.py": "tests/scenarios/test_trading.py",
    "handlers/exchange/contract_bodies.py": "tests/scenarios/test_trading.py",
    "handlers/exchange/days.py": "tests/scenarios/test_markup.py",
    "handlers/exchange/exchange_rate_calls.py": "tests/scenarios/test_payments.py",
    "handlers/exchange/exclusion_calls.py": "tests/scenarios/test_self_exclusion.py",
    "gateway/calls/recorded_replies.py": "tests/scenarios/test_idempotency.py",
    "handlers/exchange/market_calls.py": "tests/scenarios/test_markets.py",
    "handlers/exchange/markup_calls.py": "tests/scenarios/test_markup.py",
    "handlers/exchange/offering_calls.py": "tests/scenarios/test_markets.py",
    "handlers/exchange/opening_calls.py": "tests/scenarios/test_people.py",
    "handlers/exchange/order_calls.py": "tests/scenarios/test_trading.py",
    "handlers/exchange/paper_accounts.py": "tests/scenarios/test_app_tokens.py",
    "handlers/exchange/payment_agent_calls.py": "tests/scenarios/test_payments.py",
    "handlers/exchange/place_calls.py": "tests/scenarios/test_people.py",
    "handlers/exchange/portfolio_calls.py": "tests/scenarios/test_trading.py",
    "handlers/exchange/profile_calls.py": "tests/scenarios/test_people.py",
    "handlers/exchange/quotes.py": "tests/scenarios/test_proposals.py",
    "handlers/exchange/reach.py": "tests/scenarios/test_app_tokens.py",
    "handlers/exchange/exchange_scopes.py": "tests/published/test_scope_table.py",
    "handlers/exchange/api_errors.py": "tests/scenarios/test_trading.py",
    "handlers/exchange/tick_streams.py": "tests/scenarios/test_streams.py",
    "handlers/exchange/views/accumulator_view.py": "tests/scenarios/test_products.py",
    "handlers/exchange/views/all_views.py": "tests/scenarios/test_new_family.py",
    "handlers/exchange/views/fixed_payout_view.py": "tests/scenarios/test_families.py",
    "handlers/exchange/views/lookback_view.py": "tests/scenarios/test_families.py",
    "handlers/exchange/views/multiplier_view.py": "tests/scenarios/test_trading.py",
    "handlers/exchange/views/ordered_view.py": "tests/scenarios/test_trading.py",
    "handlers/exchange/views/per_point_view.py": "tests/scenarios/test_products.py",
    "handlers/exchange/views/view.py": "tests/scenarios/test_new_family.py",
    "handlers/gateway/countries.py": "tests/scenarios/test_people.py",
    "handlers/gateway/general_calls.py": "tests/scenarios/test_limits.py",
    "handlers/gateway/oversight_calls.py": "tests/scenarios/test_consent.py",
    "handlers/gateway/operator_calls.py": "tests/scenarios/test_operator.py",
    "handlers/gateway/page_calls.py": "tests/scenarios/test_sign_in.py",
    "handlers/gateway/gateway_scopes.py": "tests/program/test_framework.py",
    "handlers/gateway/restriction_calls.py": "tests/scenarios/test_restricted_tokens.py",
    "handlers/gateway/session_calls.py": "tests/scenarios/test_tokens.py",
    # Requests and replies.
    "schemas/account_messages.py": "tests/exchange/test_ledger.py",
    "schemas/assessment_messages.py": "tests/scenarios/test_people.py",
    "schemas/contract_types.py": "tests/exchange/test_eligibility.py",
    "schemas/declared.py": "tests/program/test_framework.py",
    "schemas/exclusion_messages.py": "tests/scenarios/test_self_exclusion.py",
    "schemas/fields.py": "tests/published/test_validation.py",
    "schemas/general_messages.py": "tests/scenarios/test_limits.py",
    "schemas/market_messages.py": "tests/scenarios/test_markets.py",
    "schemas/markup_messages.py": "tests/scenarios/test_markup.py",
    "schemas/offering_messages.py": "tests/scenarios/test_markets.py",
    "schemas/opening_messages.py": "tests/scenarios/test_people.py",
    "schemas/operator_messages.py": "tests/scenarios/test_operator.py",
    "schemas/owner_messages.py": "tests/scenarios/test_sign_in.py",
    "schemas/payment_agent_messages.py": "tests/scenarios/test_payments.py",
    "schemas/place_messages.py": "tests/scenarios/test_people.py",
    "schemas/portfolio_messages.py": "tests/scenarios/test_trading.py",
    "schemas/profile_messages.py": "tests/scenarios/test_people.py",
    "schemas/published.py": "tests/published/test_examples.py",
    "schemas/rate_messages.py": "tests/scenarios/test_payments.py",
    "schemas/restriction_messages.py": "tests/scenarios/test_restricted_tokens.py",
    "schemas/scopes.py": "tests/program/test_framework.py",
    "schemas/session_messages.py": "tests/scenarios/test_tokens.py",
    # The program.
    "scopegate/commands/account.py": "tests/process/test_commands.py",
    "scopegate/commands/app.py": "tests/process/test_commands.py",
    "scopegate/commands/calls.py": "tests/process/test_commands.py",
    "scopegate/commands/backup.py": "tests/process/test_machine_faults.py",
    "scopegate/commands/restore.py": "tests/process/test_machine_faults.py",
    "scopegate/commands/common.py": "tests/process/test_commands.py",
    "scopegate/commands/restriction_options.py": "tests/process/test_commands.py",
    "scopegate/commands/token.py": "tests/process/test_commands.py",
    "scopegate/commands/fault.py": "tests/process/test_commands.py",
    "handlers/gateway/fault_calls.py": "tests/scenarios/test_owned_faults.py",
    "schemas/fault_messages.py": "tests/scenarios/test_owned_faults.py",
    "scopegate/commands/user.py": "tests/process/test_commands.py",
    "exchange/reconciliation.py": "tests/process/test_check.py",
    "gateway/access/link_checks.py": "tests/process/test_check.py",
    "scopegate/machine.py": "tests/process/test_doctor.py",
    "scopegate/commands/setting_options.py": "tests/process/test_doctor.py",
    "scopegate/integrity.py": "tests/process/test_check.py",
    "store/integrity.py": "tests/process/test_check.py",
    "store/errors.py": "tests/store/test_conformance.py",
    "store/files.py": "tests/store/test_sqlite.py",
    "store/location.py": "tests/store/test_postgresql.py",
    "store/opening.py": "tests/store/test_conformance.py",
    "store/postgresql_connection.py": "tests/store/test_postgresql.py",
    "store/sqlite_connection.py": "tests/store/test_sqlite.py",
    "store/store.py": "tests/store/test_conformance.py",
    "scopegate/commands/store.py": "tests/store/test_copying.py",
    "store/transactions.py": "tests/store/test_conformance.py",
    "store/writer_main.py": "tests/store/test_writer_process.py",
    "store/meta.py": "tests/process/test_market.py",
    "scopegate/composition.py": "tests/program/test_framework.py",
    "scopegate/connecting.py": "tests/scenarios/test_apps.py",
    "scopegate/app.py": "tests/program/test_framework.py",
    "scopegate/cli.py": "tests/process/test_start_up.py",
    "scopegate/commands/target.py": "tests/process/test_without_exchange.py",
    "scopegate/demo.py": "tests/process/test_serve.py",
    "scopegate/limits_in_force.py": "tests/scenarios/test_limits.py",
    "scopegate/listening.py": "tests/gateway/test_server.py",
    "scopegate/local_ca.py": "tests/process/test_tls.py",
    "scopegate/market_start.py": "tests/process/test_wall_clock.py",
    "scopegate/offered.py": "tests/process/test_without_exchange.py",
    "scopegate/paper_exchange.py": "tests/program/test_framework.py",
    "scopegate/paper_retention.py": "tests/scenarios/test_growth.py",
    "scopegate/prefork.py": "tests/process/test_workers.py",
    "scopegate/worker.py": "tests/process/test_workers.py",
    "scopegate/plugins.py": "tests/program/test_framework.py",
    "scopegate/commands/audit.py": "tests/process/test_commands.py",
    "scopegate/event_thread.py": "tests/program/test_testkit.py",
    "scopegate/process_metrics.py": "tests/monitoring/test_metrics.py",
    "scopegate/commands/record.py": "tests/process/test_recording.py",
    "scopegate/commands/replay.py": "tests/process/test_recording.py",
    "scopegate/reports/page.py": "tests/browser/test_report_page.py",
    "scopegate/reports/trades.py": "tests/program/test_report.py",
    "scopegate/recordings/connection.py": "tests/process/test_recording.py",
    "scopegate/recordings/proxy.py": "tests/process/test_recording.py",
    "scopegate/recordings/replay.py": "tests/process/test_recording.py",
    "scopegate/tracing.py": "tests/monitoring/test_traces.py",
    "scopegate/testing.py": "tests/program/test_testkit.py",
    "exchange/pricing/extremes.py": "tests/exchange/test_lookbacks.py",
    "exchange/pricing/moved_strikes.py": "tests/exchange/test_resets.py",
    "exchange/pricing/tick_sequences.py": "tests/exchange/test_few_ticks.py",
    "gateway/calls/scheduling.py": "tests/gateway/test_fairness.py",
    "handlers/exchange/copying_calls.py": "tests/scenarios/test_copying.py",
    "handlers/exchange/payment_calls.py": "tests/scenarios/test_payments.py",
    "handlers/exchange/proposal_calls.py": "tests/scenarios/test_proposals.py",
    "handlers/exchange/trading_calls.py": "tests/scenarios/test_trading.py",
    "handlers/exchange/verification_calls.py": "tests/scenarios/test_verification.py",
    "handlers/exchange/website_calls.py": "tests/scenarios/test_website.py",
    "handlers/gateway/app_calls.py": "tests/scenarios/test_apps.py",
    "handlers/gateway/consent_calls.py": "tests/scenarios/test_consent.py",
    "handlers/gateway/token_calls.py": "tests/scenarios/test_tokens.py",
    "schemas/app_messages.py": "tests/scenarios/test_apps.py",
    "schemas/consent_messages.py": "tests/scenarios/test_consent.py",
    "schemas/copying_messages.py": "tests/scenarios/test_copying.py",
    "schemas/payment_messages.py": "tests/scenarios/test_payments.py",
    "schemas/token_messages.py": "tests/scenarios/test_tokens.py",
    "schemas/trading_messages.py": "tests/scenarios/test_trading.py",
    "schemas/verification_messages.py": "tests/scenarios/test_verification.py",
}
"""The test file that exercises a module most directly, where none has the module's name."""

SHOWN_BY: dict[str, str] = {
    "scopegate/faults_of_settings.py": "test_the_settings_have_faults",
    # Numbers of a running gateway, which are read over HTTP.
    "gateway/access/restrictions.py": "test_a_token_works_from_its_networks_alone",
    "gateway/access/token_management.py": "test_a_token_only_makes_restrictions_stricter",
    "gateway/access/overview.py": "test_many_connections_are_counted_and_the_busiest_listed",
    "gateway/calls/handling.py": "test_metrics_count_what_clients_do",
    "gateway/web/metrics_page.py": "test_a_token_admits_to_the_metrics",
    "scopegate/event_thread.py": "test_what_fails_in_the_gateways_thread_is_raised_at_the_end",
    "scopegate/commands/report.py": "test_a_recording_gives_the_same_report",
    "scopegate/commands/record.py": "test_a_session_is_recorded_without_its_token",
    "scopegate/commands/replay.py": "test_the_command_replays_until_all_connections_are_served",
    "scopegate/recordings/connection.py": (
        "test_requests_may_come_in_another_order_and_all_at_once"
    ),
    "scopegate/recordings/proxy.py": "test_a_session_is_recorded_without_its_token",
    "scopegate/process_metrics.py": "test_one_answer_has_the_metrics_of_every_worker",
    "scopegate/tracing.py": "test_a_collector_gets_a_span_for_each_call",
    "scopegate/commands/audit.py": "test_the_operator_sees_who_changed_what",
    "store/writer_main.py": "test_it_starts_once_many_jobs_wait",
    "scopegate/prefork.py": "test_a_worker_that_was_killed_is_replaced",
    # Parts of contracts and prices, which are made and asked through the types of contracts.
    "exchange/contracts/common/bounds.py": "test_stakes_and_payouts_have_their_bounds",
    "exchange/contracts/common/listing.py": "test_a_duration_that_is_not_offered_is_refused",
    "exchange/contracts/common/orders.py": "test_orders_lie_between_their_limits",
    "exchange/contracts/common/short_fields.py": (
        "test_every_contract_is_read_back_from_its_shortcode"
    ),
    "exchange/contracts/common/wording.py": (
        "test_two_barriers_are_shown_and_the_contract_is_sold_back"  # by their longcodes
    ),
    "exchange/pricing/cancellation.py": "test_a_deal_cancellation_costs_what_the_vector_says",
    "exchange/pricing/tick_sequences.py": "test_a_chance_is_that_of_the_vector",
    # Parts of the market, which are asked through the feed and its symbols.
    "exchange/hours.py": "test_ticks_are_counted_over_the_open_time_alone",
    "exchange/processes/bits.py": "test_another_seed_or_another_symbol_is_another_market",
    "exchange/processes/combined.py": "test_two_pairs_make_the_third_to_the_pip",
    "exchange/processes/rare.py": "test_jumps_come_three_times_an_hour_and_are_thirty_ticks_large",
    "exchange/processes/spikes.py": (
        "test_spikes_are_as_rare_as_the_name_says_and_pay_for_the_drift"
    ),
    # Rules, rows and replies that several handlers share: a story tells them by its calls.
    "exchange/announcements.py": (
        "test_a_later_figure_does_not_tell_the_one_before_it_too_early"  # of `economic_calendar`
    ),
    "exchange/markups.py": "test_a_markup_is_paid_by_the_buyer_and_booked_to_the_apps_owner",
    "exchange/payments.py": "test_money_moves_between_ones_own_accounts",
    "gateway/access/guard.py": "test_revoking_reaches_every_live_connection_and_no_other",
    "gateway/access/oversight.py": (
        "test_an_owner_oversees_tokens_and_what_was_done_with_them"  # by `token_list`, `activity`
    ),
    "handlers/exchange/contract_streams.py": "test_what_streams_tell_is_one_story",
    "handlers/exchange/contract_bodies.py": "test_a_contract_is_priced_bought_followed_and_settled",
    "handlers/exchange/days.py": "test_markups_are_listed_as_they_are_asked_for",
    "gateway/calls/recorded_replies.py": "test_a_repeated_request_gets_its_reply",
    "handlers/exchange/paper_accounts.py": "test_an_app_sees_the_accounts_that_it_was_given",
    "handlers/exchange/api_errors.py": "test_a_contract_is_priced_bought_followed_and_settled",
    "handlers/exchange/views/accumulator_view.py": (
        "test_an_accumulator_grows_with_each_tick_until_one_goes_too_far"
    ),
    "handlers/exchange/views/all_views.py": "test_it_is_listed_quoted_and_streamed",
    "handlers/exchange/views/fixed_payout_view.py": (
        "test_the_selected_tick_is_shown_once_it_is_there"
    ),
    "handlers/exchange/views/lookback_view.py": "test_lookbacks_pay_what_lies_between_extremes",
    "handlers/exchange/views/multiplier_view.py": (
        "test_a_multiplier_takes_its_profit_or_is_stopped"
    ),
    "handlers/exchange/views/ordered_view.py": "test_orders_are_changed_and_listed",
    "handlers/exchange/views/per_point_view.py": (
        "test_what_is_offered_lists_what_there_is_to_choose"
    ),
    "handlers/exchange/reach.py": "test_an_app_adds_personal_details_and_changes_none",
    "handlers/exchange/tick_streams.py": "test_no_tick_is_lost_between_history_and_stream",
    "handlers/gateway/countries.py": "test_every_country_is_listed_and_the_states_of_many",
    "schemas/declared.py": "test_pages_tokens_and_descriptions_show_what_is_declared",
    "schemas/fields.py": "test_a_wrong_type_is_refused_and_the_field_named",
    "scopegate/limits_in_force.py": "test_every_limit_is_listed",  # by the call `limits`
    "scopegate/paper_retention.py": (
        "test_sign_ins_and_copying_relations_of_long_ago_are_forgotten"
    ),
    # What answers over HTTP: asked for its addresses.
    "gateway/web/oauth.py": "test_what_is_wrong_is_told_in_the_words_of_the_rfc",
    "gateway/web/oauth_messages.py": "test_a_body_that_is_no_form_is_refused",
    "gateway/web/device_endpoint.py": "test_a_program_without_a_browser_gets_its_tokens",
    "gateway/web/token_status.py": "test_they_serve_an_apps_own_tokens_alone",
    "gateway/web/site.py": "test_what_a_browser_has_already_is_not_sent_again",
    # Of programs that run in processes of their own.
    "scopegate/commands/store.py": "test_the_command_says_what_it_has_copied",
    "store/meta.py": "test_what_the_operator_books_stands_at_the_market_s_present",
    "scopegate/connecting.py": "test_any_app_id_is_taken_where_the_operator_says_so",
    "scopegate/commands/serve.py": "test_it_stops_when_asked_and_says_goodbye",
    "scopegate/commands/calls.py": "test_calls_are_listed_by_either_name_of_the_program",
    "scopegate/commands/target.py": "test_it_serves_and_its_commands_know_its_scopes",
    "scopegate/demo.py": "test_a_demo_token_ends_with_the_next_start",
    "scopegate/local_ca.py": (
        "test_its_authority_is_kept_beside_the_database_for_clients_to_trust"
    ),
    "scopegate/tls.py": "test_a_broken_certificate_is_logged_and_the_old_one_stays",
    "scopegate/commands/account.py": "test_accounts_are_listed_for_people_and_for_programs",
    "scopegate/commands/app.py": "test_an_app_made_while_serving_can_connect",
    "scopegate/commands/backup.py": (
        "test_a_backup_that_was_made_amid_trading_is_restored_elsewhere_and_served"
    ),
    "scopegate/commands/restore.py": "test_a_backup_is_restored_and_what_was_there_is_kept",
    "scopegate/commands/doctor.py": "test_the_command_succeeds_with_hints_alone",
    "scopegate/commands/setting_options.py": (
        "test_the_command_takes_the_settings_of_serve_and_fails_for_a_danger"
    ),
    "scopegate/commands/check.py": "test_findings_are_bounded",
    "exchange/reconciliation.py": "test_damage_is_found_and_named_and_nothing_is_changed",
    "gateway/access/link_checks.py": "test_damage_is_found_and_named_and_nothing_is_changed",
    "scopegate/commands/restriction_options.py": "test_an_invalid_restriction_names_its_option",
    "scopegate/commands/common.py": "test_a_token_is_printed_alone_and_works_at_once",
    "scopegate/commands/token.py": "test_a_token_is_printed_alone_and_works_at_once",
    "scopegate/offered.py": "test_it_serves_and_its_commands_know_its_scopes",
    "scopegate/pytest_plugin.py": (
        "test_it_works_without_further_ado_in_parallel_and_leaves_nothing"
    ),
}
"""The modules that their test file does not mention, as it reaches them through others: by which
test of it they are seen at work."""


def modules() -> Iterator[str]:
    """The product's modules, as paths from the root."""
    for package in (*PACKAGES, "scopegate"):
        for path in python_files(package):
            if path.name not in ("__init__.py", "__main__.py"):
                yield path.relative_to(ROOT).as_posix()


def files_by_name() -> Mapping[str, list[str]]:
    """The test files by the name that each has after `test_`."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if "node_modules" not in path.parts:
            found[path.stem.removeprefix("test_")].append(path.relative_to(ROOT).as_posix())
    return found


def names() -> Mapping[str, set[str]]:
    """By what tests name a module that they reach over the wire: its calls, or its contracts."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for call in declared():
        found[call.invoke.__module__].add(call.name)  # the handler's
        found[call.request.__module__].add(call.name)  # the schema's
    for name, kind in TYPES.items():
        found[type(kind).__module__].add(name)
    return found


MODULES = tuple(modules())
TEST_FILES = files_by_name()
NAMES = names()


def dotted(module: str) -> str:
    """The name under which a module is imported."""
    name = module.removesuffix(".py").replace("/", ".")
    return name if name.startswith("scopegate.") else f"scopegate.{name}"


def of_its_name(module: str) -> list[str]:
    """The test files that are named after a module, and are about it."""
    return [] if module in OTHER_SUBJECT else TEST_FILES.get(Path(module).stem, [])


def files_for(module: str) -> list[str]:
    """The test files of a module."""
    return [TESTED_BY[module]] if module in TESTED_BY else of_its_name(module)


@cache
def text_of(file: str) -> str:
    return (ROOT / file).read_text()


@cache
def imports_of(file: str) -> frozenset[str]:
    """What a test file imports, also by way of the public names of `scopegate`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text_of(file))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{file} imports relatively"
            found.add(node.module)
            for alias in node.names:
                public = node.module == "scopegate" and scopegate._MODULES.get(alias.name)
                found.add(f"{node.module}.{public or alias.name}")
    return frozenset(found)


def mentions(file: str, module: str) -> bool:
    """Whether a test file imports a module, or has the quoted name of what the module offers."""
    name = dotted(module)
    return name in imports_of(file) or any(
        f'"{each}"' in text_of(file) for each in NAMES.get(name, ())
    )


def test_every_module_has_a_test_file() -> None:
    assert {"exchange/feed.py", "gateway/calls/bus.py", "scopegate/app.py"} <= set(MODULES)
    missing = [module for module in MODULES if not files_for(module)]
    assert missing == [], (
        f"no test file is named after {', '.join(missing)}: write one, or name in TESTED_BY of"
        " tests/test_modules.py the test file that exercises the module most directly"
    )


def test_what_is_listed_is_there_and_needed() -> None:
    listed = {*TESTED_BY, *SHOWN_BY, *OTHER_SUBJECT}
    gone = sorted(listed - set(MODULES))
    assert gone == [], f"these are no modules (any more), take them out: {gone}"
    needless = {module: of_its_name(module) for module in TESTED_BY if of_its_name(module)}
    assert needless == {}, f"take these out of TESTED_BY, they have their own: {needless}"
    files = {file for of_a_name in TEST_FILES.values() for file in of_a_name}
    wrong = {module: file for module, file in TESTED_BY.items() if file not in files}
    assert wrong == {}, f"TESTED_BY names what is no test file: {wrong}"
    alone = sorted(module for module in OTHER_SUBJECT if Path(module).stem not in TEST_FILES)
    assert alone == [], f"no test file has their name, take them out of OTHER_SUBJECT: {alone}"


def test_each_test_file_mentions_its_module() -> None:
    silent = {
        module: files_for(module)
        for module in MODULES
        if module not in SHOWN_BY and not any(mentions(file, module) for file in files_for(module))
    }
    assert silent == {}, (
        f"these neither import their module nor name a call of it: {silent}; name another file in"
        " TESTED_BY, or in SHOWN_BY the test that shows the module at work"
    )


def test_what_is_only_shown_is_shown() -> None:
    for module, test in SHOWN_BY.items():
        files = files_for(module)
        assert any(f"def {test}(" in text_of(file) for file in files), f"{test} is not in {files}"
        needless = [file for file in files if mentions(file, module)]
        assert needless == [], f"{needless} mentions {module}: take it out of SHOWN_BY"
