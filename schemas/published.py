"""The 137 calls of the published API by name, with the scopes that each needs.

A call that is known but not offered still counts when the call of a message is determined, and is
answered with an error that says so. Names and scopes are facts of the published API (June 2026).
"""

from collections.abc import Mapping


def _table() -> dict[str, frozenset[str]]:
    rows: dict[str, frozenset[str]] = {}
    for scopes, names in _NAMES_BY_SCOPES:
        for name in names.split():
            rows[name] = frozenset(scopes)
    return dict(sorted(rows.items()))


_NAMES_BY_SCOPES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (),
        """
        active_symbols asset_index authorize confirm_email contracts_for
        contracts_for_company copytrading_statistics crypto_config crypto_estimations
        economic_calendar exchange_rates exchange_verification_code forget forget_all
        landing_company landing_company_details logout new_account_virtual
        payment_methods paymentagent_list payout_currencies ping proposal residence_list
        states_list ticks ticks_batch ticks_history time tin_validations
        trading_durations trading_platform_status trading_times unsubscribe_email
        verify_email website_config website_status
        """,
    ),
    (
        ("admin",),
        """
        api_token app_delete app_register app_update copytrading_list document_upload
        mt5_new_account mt5_password_change mt5_password_check mt5_password_reset
        new_account_check_duplicate new_account_maltainvest new_account_real
        new_account_wallet new_account_wallet_and_trading new_partner_account
        partner_account_creation partner_account_creation_status partner_settings_update
        paymentagent_create paymentagent_details revoke_oauth_app set_account_currency
        set_financial_assessment set_self_exclusion set_settings tnc_approval
        trading_platform_investor_password_reset trading_platform_password_reset
        """,
    ),
    (
        ("payments",),
        """
        cashier mt5_deposit mt5_withdrawal p2p_advert_create p2p_advert_info
        p2p_advert_list p2p_advert_update p2p_advertiser_adverts p2p_advertiser_create
        p2p_advertiser_info p2p_advertiser_list p2p_advertiser_payment_methods
        p2p_advertiser_relations p2p_advertiser_update p2p_chat_create p2p_country_list
        p2p_order_cancel p2p_order_confirm p2p_order_create p2p_order_dispute
        p2p_order_info p2p_order_list p2p_order_review p2p_payment_methods p2p_ping
        p2p_settings paymentagent_transfer paymentagent_withdraw
        paymentagent_withdraw_justification transfer_between_accounts
        """,
    ),
    (
        ("read",),
        """
        account_list app_get app_list app_markup_details app_markup_statistics
        connect_copy connect_status contract_update_history
        financial_assessment_questions get_account_status get_financial_assessment
        get_limits get_self_exclusion get_settings get_third_party_redirect
        kyc_auth_status login_history mt5_get_settings mt5_login_list oauth_apps
        partner_accounts partner_settings partner_toolkit trading_servers
        """,
    ),
    (
        ("trade",),
        """
        buy buy_contract_for_multiple_accounts cancel contract_update copy_start
        copy_stop sell sell_contract_for_multiple_accounts sell_expired topup_virtual
        """,
    ),
    (
        ("read", "trading_information"),
        """
        balance portfolio profit_table proposal_open_contract reality_check statement
        transaction
        """,
    ),
)

PUBLISHED: Mapping[str, frozenset[str]] = _table()
"""The scopes of each call by name, any one of which is enough; an empty set needs no sign-in."""

ALSO_FIELDS: Mapping[str, frozenset[str]] = {
    name: frozenset({"landing_company"})
    for name in (
        "active_symbols",
        "asset_index",
        "contracts_for",
        "contracts_for_company",
        "kyc_auth_status",
        "trading_durations",
    )
}
"""The calls that have a field with the name of another call."""

SENSITIVE_FIELDS: frozenset[str] = frozenset(
    {
        "authorize",
        "client_password",
        "copy_start",
        "copy_stop",
        "delete_token",
        "investPassword",
        "mainPassword",
        "new_password",
        "old_password",
        "password",
        "phonePassword",
        "secret_answer",
        "tokens",
        "verification_code",
    }
)
"""The fields of published requests that are masked everywhere."""
